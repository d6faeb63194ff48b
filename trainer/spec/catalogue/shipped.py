"""stub"""


def shipped():
    return {}


def shipped_model(name):
    raise KeyError(name)


def model_config(one):
    return {}


def pixels(one):
    return {}
