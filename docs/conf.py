"""Settings of the documentation; `make docs` builds it with warnings as errors."""

import sys
from pathlib import Path

import bayesnlme

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "bayesnlme"
author = "The bayesnlme developers"
release = bayesnlme.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "bibliography",
    "mathml",
    "one_list_of_references",
]
exclude_patterns = ["_build", "jupyter_execute"]
suppress_warnings = ["ref.citation"]  # a reference that only a private docstring cites is fine

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "auto"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_ivar = True

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = f"bayesnlme {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_theme_options = {"show_prev_next": True, "navigation_with_keys": False, "show_toc_level": 2}
