"""A grammar small enough to write out all its stories: two plots, agreement, two people who must differ."""

from dozero.stories.grammar import build_grammar
from dozero.stories.writing import Dice, Writer

WORDS = {
    "person": {"kind": "phrase", "m": "João, Rui", "f": "Ana"},
    "mood": {"kind": "adjective", "all": "calmo, feliz"},
    "toy": {"kind": "noun", "m": "pião/piões", "f": "bola"},
}
PLOTS = {
    "agreement": {"o": "o/a/os/as"},
    "roles": {"hero": "person", "friend": "person"},
    "rules": {"end": ["{hero} ficou {mood~hero}.", "Fim."]},
    "plots": {
        "play": [["{hero} viu {toy:o} {toy}.", "{hero} e {friend} viram duas {toy.p}."], ["<end>"]],
        "meet": [["{hero} achou {friend}."], ["[Sim|Não].", "Sim."], ["\nPergunta: Quem?\nResposta: {friend}."]],
    },
}


def toy():
    return build_grammar("pt", WORDS, PLOTS)


class Script(Dice):
    """Dice that follow a list of rolls and remember out of how many each was."""

    def __init__(self, rolls):
        super().__init__("")
        self.rolls, self.options = list(rolls), []

    def roll(self, options):
        self.options.append(options)
        return self.rolls[len(self.options) - 1] if len(self.options) <= len(self.rolls) else 0


def all_stories(grammar):
    """Every derivation as (text, probability), by trying every roll of the dice."""
    found, open_rolls = [], [[]]
    while open_rolls:
        rolls = open_rolls.pop()
        dice = Script(rolls)
        writer = Writer(grammar, dice)
        writer.write((grammar.root,))
        if len(dice.options) > len(rolls):
            open_rolls += [[*rolls, n] for n in range(dice.options[len(rolls)])]
        else:
            probability = 1.0
            for options in dice.options:
                probability /= options
            found.append(("".join(writer.text), probability))
    return found
