"""What can be wrong with a file, its columns, its cells and its units."""

from bayesnlme.data.kind import Kind

FILE_MISSING = Kind(
    code="E_FILE_MISSING",
    message="There is no file {path!r}.",
    remedy="Check the path. {near}",
)
FILE_IS_FOLDER = Kind(
    code="E_FILE_IS_FOLDER",
    message="{path!r} is a folder, not a file.",
    remedy="Give the path of a table. {files}",
)
SOURCE = Kind(
    code="E_SOURCE",
    message="A table cannot be read from an object of type {kind}.",
    remedy="Pass a path, or a pandas or polars data frame (collect a lazy one first).",
)
OPTION = Kind(
    code="E_OPTION",
    message="{option}= is {given}, not {wanted}.",
    remedy="Write it as in {example}.",
)
FILE_NOT_TEXT = Kind(
    code="E_FILE_NOT_TEXT",
    message="The file is {what}, not a text table.",
    remedy="Export it as CSV in UTF-8, or read it into a data frame and pass that.",
)
ENCODING = Kind(
    code="E_ENCODING",
    message="The file cannot be decoded as {encoding}: {reason}.",
    remedy='Say what it is in, such as encoding="latin-1", or save it as UTF-8.',
)
UTF16 = Kind(
    code="E_UTF16",
    message="The file is in {what}, not in UTF-8.",
    remedy='Save it as UTF-8, or pass encoding="{codec}".',
)
BOM = Kind(
    code="E_BOM",
    message="The file begins with a byte-order mark, which would become part of the first name.",
    remedy='Pass encoding="utf-8-sig", or save the file as UTF-8 without the mark.',
)
NUL = Kind(
    code="E_NUL",
    message="The file holds a NUL character, so it is damaged or not text.",
    remedy="Export the table again as CSV in UTF-8.",
)
QUOTE = Kind(
    code="E_QUOTE",
    message="A quoted cell is not closed or not followed by a delimiter ({reason}).",
    remedy="Close the quote, double it inside a cell, or take the quotes out.",
)
EMPTY = Kind(
    code="E_EMPTY",
    message="The table has {what}.",
    remedy="Give a header line followed by one row per record.",
)
RAGGED = Kind(
    code="E_RAGGED",
    message="The row has {found} cells where the header has {expected}.",
    remedy="Write missing cells as '.', quote cells that hold a {delimiter}, and write numbers"
    " with a decimal point and no thousands mark.",
)
ROW_BLANK = Kind(
    code="E_ROW_BLANK",
    message="The row is blank.",
    remedy="Remove it.",
)
HEADER_ABSENT = Kind(
    code="E_HEADER_ABSENT",
    message="The first line holds numbers ({cell}), not names of columns.",
    remedy="Put a line with the names of the columns first, such as ID,TIME,DV.",
)
HEADER_TWICE = Kind(
    code="E_HEADER_TWICE",
    message="The row looks like a second header: it holds {cell} where values belong.",
    remedy="Keep one header line; declare units with units={{...}}.",
)
COLUMN_UNNAMED = Kind(
    code="E_COLUMN_UNNAMED",
    message="Column {number} has no name.",
    remedy="Name it in the header, or remove it.",
)
COLUMN_TWICE = Kind(
    code="E_COLUMN_TWICE",
    message="Two columns are called {column!r} (columns {numbers}).",
    remedy="Rename or remove one of them.",
)


# Which column is what

ROLE_UNKNOWN = Kind(
    code="E_ROLE_UNKNOWN",
    message="{role!r} is no kind of column that is read.",
    remedy="{near}",
)
COLUMN_UNKNOWN = Kind(
    code="E_COLUMN_UNKNOWN",
    message="{what} names the column {column!r}, which the table lacks.",
    remedy="{near}",
)
COLUMN_MISSING = Kind(
    code="E_COLUMN_MISSING",
    message="The table has no {role} column.",
    remedy='Add it, or say which column it is, as in {keyword}="...". {near}',
)
ROLE_TWICE = Kind(
    code="E_ROLE_TWICE",
    message="The columns {names} could all be {role}.",
    remedy='Say which one is meant, as in {keyword}="{first}".',
)
COVARIATE_IS_ROLE = Kind(
    code="E_COVARIATE_IS_ROLE",
    message="{column!r} is asked for as a covariate, but the name means the {role} of a record.",
    remedy="Rename the column in the table.",
)
COLUMN_IGNORED = Kind(
    code="E_COLUMN_IGNORED",
    message="The column {column!r} means {meaning}, which is not read.",
    remedy="{remedy} Or list the covariates in covariates=[...].",
)
COLUMN_SUSPECT = Kind(
    code="W_COLUMN_SUSPECT",
    message="The column {column!r} is taken as a covariate, though its name looks like {role}.",
    remedy='If it is, pass {keyword}="{column}".',
)
COLUMN_SET_ASIDE = Kind(
    code="N_COLUMN_SET_ASIDE",
    message="The column {column!r} is not used, because another column was named as the {role}.",
    remedy="Rename it if it is meant as a covariate.",
)
DELIMITER = Kind(
    code="N_DELIMITER",
    message="The cells are separated by {delimiter}.",
    remedy="Nothing to do if that is right.",
)


# Cells

ID_MISSING = Kind(
    code="E_ID_MISSING",
    message="The record belongs to no subject.",
    remedy="Write the subject's identifier on every row.",
)
NUMBER = Kind(
    code="E_NUMBER",
    message="{cell} is not a number.",
    remedy="Write a number with a decimal point, or '.' where there is none.",
)
NUMBER_COMMA = Kind(
    code="E_NUMBER_COMMA",
    message="{cell} has a comma in it.",
    remedy="Write numbers with a decimal point and no thousands mark, such as 1200.5.",
)
NUMBER_CENSORED = Kind(
    code="E_NUMBER_CENSORED",
    message="{cell} seems to say that the value is below the limit of quantification.",
    remedy="Write the limit in DV (or in a LLOQ column) and put 1 in a CENS column.",
)
NUMBER_INFINITE = Kind(
    code="E_NUMBER_INFINITE",
    message="{cell} is not finite.",
    remedy="Write the measured number, or '.' where there is none.",
)
NUMBER_HUGE = Kind(
    code="E_NUMBER_HUGE",
    message="{cell} is larger than 1e100 in size.",
    remedy="Correct it, or choose another unit.",
)
NUMBER_TINY = Kind(
    code="E_NUMBER_TINY",
    message="{cell} is not zero but smaller than 1e-100 in size.",
    remedy="Write 0 if it means none, or choose another unit.",
)
TIME_CLOCK = Kind(
    code="E_TIME_CLOCK",
    message="{cell} is a date or a clock time.",
    remedy="Write the time elapsed since a fixed start, such as the hours since the first dose.",
)
NOT_INTEGER = Kind(
    code="E_NOT_INTEGER",
    message="{cell} is not a whole number.",
    remedy="Write a whole number in {column}.",
)
COVARIATE_MIXED = Kind(
    code="W_COVARIATE_MIXED",
    message="The covariate mixes numbers with text such as {cell}, so it is read as text.",
    remedy="Correct the cell if the covariate is meant as a number.",
)


# Units

UNIT_UNKNOWN = Kind(
    code="E_UNIT_UNKNOWN",
    message="The unit {unit!r} of {column} cannot be read ({reason}).",
    remedy="Write it as in 'mg/L', 'ug/mL' or '1/h'.",
)
UNIT_COLUMN = Kind(
    code="E_UNIT_COLUMN",
    message="A unit is given for {column!r}, which the data lack.",
    remedy="{near}",
)
UNIT_AT_ODDS = Kind(
    code="E_UNIT_AT_ODDS",
    message="The unit {unit!r} of {column} cannot be right: {reason}.",
    remedy="Correct the unit, or the column it is given for.",
)
