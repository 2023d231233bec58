"""The systems of the bank, as text: amounts in compartments, concentrations as outputs."""

from tests.reference.equations import Model

ORAL_DOSING = {
    "lag": {"depot": "tlag", "central": "delay"},
    "bioavailability": {"depot": "F", "central": "share"},
    "duration": {"depot": "D", "central": "D"},
    "rate": {"depot": "R", "central": "R"},
}
DOSING_NAMES = ("tlag", "delay", "F", "share", "D", "R")
CONCENTRATION = {"conc": "central/V"}


def _response(name: str, production: str, loss: str) -> str:
    return f"kin*({production}) - kout*({loss})*{name}"


INHIBITION = "1 - Imax*conc_/(IC50 + conc_)".replace("conc_", "(central/V)")
STIMULATION = "1 + Emax*conc_/(EC50 + conc_)".replace("conc_", "(central/V)")
BOUND = "target + KSS - total/V"
FREE = f"(2*KSS*total/V/({BOUND} + sqrt(({BOUND})**2 + 4*KSS*total/V)))"
"""Free concentration: the positive root of its quadratic equation, without cancellation."""
GROWTH = "lambda0*x1/(1 + (lambda0/lambda1*(x1 + x2 + x3 + x4))**20)**(1/20)"
ABSORPTION = "ka*depot - CL/V*central"

MODELS = {
    "bolus": Model(
        rhs={"central": "-(CL + CLr)/V*central", "urine": "CLr/V*central"},
        outputs={"conc": "central/V", "excreted": "urine"},
        parameters=("CL", "CLr", "V"),
        linear=True,
    ),
    "oral": Model(
        rhs={"depot": "-ka*depot", "central": ABSORPTION},
        outputs=CONCENTRATION,
        parameters=("ka", "CL", "V", *DOSING_NAMES),
        linear=True,
        **ORAL_DOSING,
    ),
    "michaelis_menten": Model(
        rhs={"depot": "-ka*depot", "central": "ka*depot - Vmax*central/(Km*V + central)"},
        outputs=CONCENTRATION,
        parameters=("ka", "Vmax", "Km", "V", *DOSING_NAMES),
        **ORAL_DOSING,
    ),
    "two_compartments": Model(
        rhs={
            "depot": "-ka*depot",
            "central": "ka*depot - (CL + Q)/V1*central + Q/V2*peripheral",
            "peripheral": "Q/V1*central - Q/V2*peripheral",
        },
        outputs={"conc": "central/V1", "tissue": "peripheral/V2"},
        parameters=("ka", "CL", "V1", "Q", "V2"),
        linear=True,
    ),
    "three_compartments": Model(
        rhs={
            "central": "-(CL + Q2 + Q3)/V1*central + Q2/V2*shallow + Q3/V3*deep",
            "shallow": "Q2/V1*central - Q2/V2*shallow",
            "deep": "Q3/V1*central - Q3/V3*deep",
        },
        outputs={"conc": "central/V1"},
        parameters=("CL", "V1", "Q2", "V2", "Q3", "V3", "F", "D"),
        bioavailability={"central": "F"},
        duration={"central": "D"},
        linear=True,
    ),
    "transit": Model(
        rhs={
            "a1": "-ktr*a1",
            **{f"a{i}": f"ktr*(a{i - 1} - a{i})" for i in range(2, 6)},
            "central": "ktr*a5 - CL/V*central",
        },
        outputs=CONCENTRATION,
        parameters=("ktr", "CL", "V", "tlag"),
        lag={"a1": "tlag"},
        linear=True,
    ),
    "recirculation": Model(
        rhs={
            "gut": "-ka*gut + kbile*bile",
            "central": "ka*gut - (CL + CLb)/V*central",
            "liver": "CLb/V*central - kl*liver",
            "bile": "kl*liver - kbile*bile",
        },
        outputs={"conc": "central/V", "bile": "bile"},
        parameters=("ka", "CL", "CLb", "V", "kl", "kbile"),
        linear=True,
    ),
    "endogenous": Model(
        rhs={"depot": "-ka*depot", "central": "kin + ka*depot - k*central"},
        outputs={"amount": "central"},
        parameters=("ka", "k", "kin", "tlag"),
        initial={"central": "kin/k"},
        lag={"depot": "tlag"},
        linear=True,
    ),
    "effect_compartment": Model(
        rhs={
            "depot": "-ka*depot",
            "central": ABSORPTION,
            "effect": "ke0*(central/V - effect)",
        },
        outputs={
            "conc": "central/V",
            "effect": "E0 + Emax*effect**gamma/(EC50**gamma + effect**gamma)",
        },
        parameters=("ka", "CL", "V", "ke0", "E0", "Emax", "EC50", "gamma"),
        linear=True,
    ),
    "parallel": Model(
        rhs={"central": "-CL/V*central - Vmax*central/(Km*V + central)"},
        outputs=CONCENTRATION,
        parameters=("CL", "V", "Vmax", "Km"),
    ),
    "tmdd": Model(
        rhs={
            "central": "-kel*central - kon*central*target + koff*complex*V",
            "target": "ksyn - kdeg*target - kon*central/V*target + koff*complex",
            "complex": "kon*central/V*target - (koff + kint)*complex",
        },
        outputs={"free": "central/V", "target": "target", "total": "central/V + complex"},
        parameters=("kel", "V", "kon", "koff", "kint", "ksyn", "kdeg", "F"),
        initial={"target": "ksyn/kdeg"},
        bioavailability={"central": "F"},
        stiff=True,
    ),
    "tmdd_qss": Model(
        rhs={
            "total": f"-kel*V*{FREE} - kint*V*target*{FREE}/(KSS + {FREE})",
            "target": f"ksyn - kdeg*target - (kint - kdeg)*target*{FREE}/(KSS + {FREE})",
        },
        outputs={"free": FREE, "target": "target"},
        parameters=("kel", "V", "KSS", "kint", "ksyn", "kdeg"),
        initial={"target": "ksyn/kdeg"},
    ),
    "turnover": Model(
        rhs={
            "depot": "-ka*depot",
            "central": ABSORPTION,
            "r1": _response("r1", INHIBITION, "1"),
            "r2": _response("r2", "1", INHIBITION),
            "r3": _response("r3", STIMULATION, "1"),
            "r4": _response("r4", "1", STIMULATION),
        },
        outputs={"conc": "central/V", "r1": "r1", "r2": "r2", "r3": "r3", "r4": "r4"},
        parameters=("ka", "CL", "V", "kin", "kout", "Imax", "IC50", "Emax", "EC50"),
        initial={f"r{i}": "kin/kout" for i in range(1, 5)},
    ),
    "friberg": Model(
        rhs={
            "depot": "-ka*depot",
            "central": ABSORPTION,
            "prol": "4/MTT*prol*((1 - slope*central/V)*(Circ0/circ)**gamma - 1)",
            "t1": "4/MTT*(prol - t1)",
            "t2": "4/MTT*(t1 - t2)",
            "t3": "4/MTT*(t2 - t3)",
            "circ": "4/MTT*(t3 - circ)",
        },
        outputs={"cells": "circ"},
        parameters=("ka", "CL", "V", "Circ0", "MTT", "slope", "gamma"),
        initial=dict.fromkeys(("prol", "t1", "t2", "t3", "circ"), "Circ0"),
    ),
    "gompertz": Model(
        rhs={
            "central": "-k*central",
            "tumour": "growth*tumour*log(capacity/tumour) - kill*central*tumour",
        },
        outputs={"size": "tumour", "log_size": "log(tumour)"},
        parameters=("k", "growth", "capacity", "kill", "size0", "tlag"),
        initial={"tumour": "size0"},
        lag={"central": "tlag"},
    ),
    "simeoni": Model(
        rhs={
            "depot": "-ka*depot",
            "central": ABSORPTION,
            "x1": f"{GROWTH} - k2*central/V*x1",
            "x2": "k2*central/V*x1 - k1*x2",
            "x3": "k1*(x2 - x3)",
            "x4": "k1*(x3 - x4)",
        },
        outputs={"weight": "x1 + x2 + x3 + x4"},
        parameters=("ka", "CL", "V", "lambda0", "lambda1", "k1", "k2", "w0"),
        initial={"x1": "w0"},
    ),
    "viral": Model(
        rhs={
            "cells": "s - d*cells - beta*cells*virus",
            "infected": "beta*cells*virus - delta*infected",
            "virus": "(1 - eff)*p*infected - c*virus",
        },
        outputs={"log_load": "log10(virus)", "infected": "infected"},
        parameters=("s", "d", "beta", "delta", "p", "c", "eff"),
        initial={
            "cells": "c*delta/(beta*p)",
            "infected": "(s - d*c*delta/(beta*p))/delta",
            "virus": "p*(s - d*c*delta/(beta*p))/delta/c",
        },
    ),
    "lotka_volterra": Model(
        rhs={"hare": "a*hare - b*hare*lynx", "lynx": "c*b*hare*lynx - d*lynx"},
        outputs={"hare": "hare", "lynx": "lynx"},
        parameters=("a", "b", "c", "d", "hare0", "lynx0"),
        initial={"hare": "hare0", "lynx": "lynx0"},
    ),
    "sir": Model(
        rhs={
            "susceptible": "-beta*susceptible*infected/N",
            "infected": "beta*susceptible*infected/N - recovery*infected",
        },
        outputs={"infected": "infected", "incidence": "beta*susceptible*infected/N"},
        parameters=("beta", "recovery", "N", "infected0"),
        initial={"susceptible": "N - infected0", "infected": "infected0"},
    ),
    "robertson": Model(
        rhs={
            "a": "-k1*a + k3*b*c",
            "b": "k1*a - k3*b*c - k2*b**2",
            "c": "k2*b**2",
        },
        outputs={"a": "a", "b": "b", "c": "c"},
        parameters=("k1", "k2", "k3", "a0"),
        initial={"a": "a0"},
        stiff=True,
    ),
    "circadian": Model(
        rhs={
            "depot": "-ka*depot",
            "central": ABSORPTION,
            "hormone": "kin*(1 + size*cos(2*pi*(t - peak)/24))"
            " - kout*(1 + Emax*tanh(central/(V*EC50)))*hormone",
        },
        outputs={"hormone": "hormone"},
        parameters=("ka", "CL", "V", "kin", "size", "peak", "kout", "Emax", "EC50", "tlag"),
        initial={"hormone": "kin/kout"},
        lag={"depot": "tlag"},
    ),
    "switched": Model(
        rhs={"central": "where(t < 8, k0, 0) - (k + slope*maximum(t - 20, 0))*central"},
        outputs={"amount": "central"},
        parameters=("k0", "k", "slope"),
        breaks=(8.0, 20.0),
    ),
}

VALUES = {
    "bolus": {"CL": 2.3, "CLr": 1.1, "V": 21.0},
    "oral": {
        "ka": 0.9,
        "CL": 3.1,
        "V": 28.0,
        "tlag": 1.7,
        "delay": 0.45,
        "F": 0.72,
        "share": 0.93,
        "D": 4.3,
        "R": 23.0,
    },
    "michaelis_menten": {
        "ka": 0.9,
        "Vmax": 14.0,
        "Km": 1.3,
        "V": 28.0,
        "tlag": 1.7,
        "delay": 0.45,
        "F": 0.72,
        "share": 0.93,
        "D": 4.3,
        "R": 23.0,
    },
    "two_compartments": {"ka": 1.2, "CL": 4.1, "V1": 19.0, "Q": 6.3, "V2": 55.0},
    "three_compartments": {
        "CL": 1.9,
        "V1": 9.0,
        "Q2": 3.7,
        "V2": 17.0,
        "Q3": 0.6,
        "V3": 41.0,
        "F": 0.8,
        "D": 1.5,
    },
    "transit": {"ktr": 2.4, "CL": 5.2, "V": 33.0, "tlag": 0.35},
    "recirculation": {"ka": 1.1, "CL": 2.0, "CLb": 6.0, "V": 15.0, "kl": 0.8, "kbile": 0.5},
    "endogenous": {"ka": 0.8, "k": 0.21, "kin": 3.2, "tlag": 0.6},
    "effect_compartment": {
        "ka": 1.4,
        "CL": 3.3,
        "V": 24.0,
        "ke0": 0.35,
        "E0": 10.0,
        "Emax": 60.0,
        "EC50": 1.9,
        "gamma": 1.8,
    },
    "parallel": {"CL": 0.8, "V": 17.0, "Vmax": 12.0, "Km": 2.2},
    "tmdd": {
        "kel": 0.02,
        "V": 3.2,
        "kon": 18.0,
        "koff": 0.6,
        "kint": 0.04,
        "ksyn": 0.5,
        "kdeg": 0.05,
        "F": 0.9,
    },
    "tmdd_qss": {"kel": 0.02, "V": 3.2, "KSS": 0.35, "kint": 0.04, "ksyn": 0.5, "kdeg": 0.05},
    "turnover": {
        "ka": 1.0,
        "CL": 3.0,
        "V": 30.0,
        "kin": 9.0,
        "kout": 0.3,
        "Imax": 0.9,
        "IC50": 0.8,
        "Emax": 2.5,
        "EC50": 1.6,
    },
    "friberg": {
        "ka": 1.0,
        "CL": 9.0,
        "V": 60.0,
        "Circ0": 5.2,
        "MTT": 115.0,
        "slope": 0.55,
        "gamma": 0.17,
    },
    "gompertz": {
        "k": 0.31,
        "growth": 0.06,
        "capacity": 900.0,
        "kill": 0.011,
        "size0": 12.0,
        "tlag": 1.25,
    },
    "simeoni": {
        "ka": 1.5,
        "CL": 5.5,
        "V": 20.0,
        "lambda0": 0.24,
        "lambda1": 0.62,
        "k1": 0.55,
        "k2": 0.16,
        "w0": 0.05,
    },
    "viral": {
        "s": 60.0,
        "d": 0.11,
        "beta": 3e-4,
        "delta": 0.5,
        "p": 26.0,
        "c": 4.2,
        "eff": 0.93,
    },
    "lotka_volterra": {
        "a": 0.55,
        "b": 0.028,
        "c": 0.87,
        "d": 0.8,
        "hare0": 31.0,
        "lynx0": 4.5,
    },
    "sir": {"beta": 1.7, "recovery": 0.45, "N": 763.0, "infected0": 1.4},
    "robertson": {"k1": 0.04, "k2": 3e7, "k3": 1e4, "a0": 1.0},
    "circadian": {
        "ka": 0.9,
        "CL": 4.0,
        "V": 26.0,
        "kin": 8.0,
        "size": 0.6,
        "peak": 7.5,
        "kout": 0.45,
        "Emax": 1.4,
        "EC50": 1.1,
        "tlag": 0.8,
    },
    "switched": {"k0": 7.0, "k": 0.17, "slope": 0.012},
}
"""Parameters of each model, hours and milligrams unless the field counts otherwise."""
