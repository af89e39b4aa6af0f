"""The codes of expressions, of what comes from Manila, and of what commands say."""

from __future__ import annotations

from dsl.catalogue.entry import Entry

ENTRIES = {
    "S301": Entry(
        "an expression is too large",
        "An expression may have 4 KiB, 1,024 words and signs, and 256 values, names and operators.",
        "Split it into several rules; all of them must hold.",
    ),
    "S302": Entry(
        "an expression is nested too deep",
        "Brackets and operators may be nested 32 levels deep.",
        "Split it into several rules, or leave out brackets; a chain of `and` is one level.",
    ),
    "S303": Entry(
        "a bracket has no partner",
        "A bracket is not closed, closes nothing, or is closed by one of the other kind.",
        "Close the bracket that the message points at, or remove it.",
    ),
    "S304": Entry(
        "a quote is not closed",
        "A text begins with a double quote and ends with one in the same line; it holds none itself.",
        "Close the text.",
    ),
    "S305": Entry(
        "a character cannot be used",
        "No word, number or sign of the language begins with it, or it only looks like one that does.",
        "Write what the help line says.",
    ),
    "S306": Entry(
        "an expression is not complete",
        "A value or an operator is missing at this place.",
        "Follow the help line.",
    ),
    "S307": Entry(
        "a word or sign of another language",
        "What is meant has another spelling here, so that every rule can be read in one way.",
        "Write what the help line says: `==`, `and`, `or`, `not`, double quotes, `has(...)`.",
    ),
    "S308": Entry(
        "comparisons are chained",
        "`a < b < c` means different things in different languages, so it means nothing here.",
        "Join two comparisons with `and`.",
    ),
    "S309": Entry(
        "a result has the wrong type",
        "A rule must be true or false, and an amount must be a number; nothing else counts as either.",
        "Compare the value with something.",
    ),
    "S310": Entry(
        "a name is unknown",
        "Names are `pool.`, `request.`, `share.` or `spec.` and an attribute that is declared there.",
        "Correct the name, or declare the attribute.",
    ),
    "S311": Entry(
        "a function is used wrongly",
        "There is no function of this name, or it takes other arguments.",
        "Use `min max abs ceil floor len any all has` with the arguments that the help line shows.",
    ),
    "S312": Entry(
        "a unit is unknown",
        "Sizes and rates have binary units, and every unit has one exact spelling.",
        "Write the unit that the help line gives, and check the number: 10 GB is 9.31 GiB.",
    ),
    "S313": Entry(
        "a unit is missing",
        "A bare number stands where a size, a rate or a duration is due, and could mean any unit.",
        "Write the unit.",
    ),
    "S314": Entry(
        "values of different types are compared",
        "Nothing is converted: text is not a number, and a list is not one of its values.",
        "Compare like with like; the note says how and where the other side is declared.",
    ),
    "S315": Entry(
        "a number cannot be used",
        "It has more than 30 digits, or is a fraction of a byte, of an IOPS or of a microsecond.",
        "Write a whole number of a smaller unit.",
    ),
    "S316": Entry(
        "values without an order are ordered",
        "Only numbers and versions are less or greater; texts and truth values are not.",
        "Use `==`, `!=` or `in`.",
    ),
    "S317": Entry(
        "a value is not declared",
        "The attribute has a closed list of values and this is none of them, so the comparison is never true.",
        "Correct the value, or declare it.",
    ),
    "S318": Entry(
        "a version is malformed",
        "A version is text: one to eight numbers with dots between.",
        'Write it in quotes, like "9.13.1".',
    ),
    "S319": Entry(
        "an operand has the wrong type",
        "`and`, `or` and `not` take what is true or false, arithmetic takes numbers, `len` takes lists.",
        "Compare the operand with something, or take another one.",
    ),
    "S320": Entry(
        "units do not fit together",
        "A size cannot be compared with a rate, or added to it; only multiplying and dividing mix units.",
        "Bring both sides to one unit: a rate times a duration is a size, a size times IOPS per size is IOPS.",
    ),
    "S321": Entry(
        "a plain number stands where a percentage is due",
        "1.5 is 150 %, and 80 is 8000 %, which is seldom what was meant.",
        "Write the percent sign.",
    ),
    "S322": Entry(
        "a list is used wrongly",
        "`in` looks for one value in a list that is not empty, and a written list stands only behind `in`.",
        "Follow the help line.",
    ),
    "S323": Entry(
        "a comment hides the rest of a rule",
        "YAML joins the lines of this value, so that the comment goes on to its end.",
        "Write the rule as a block with `|`, or move the comment out of it.",
    ),
    "S324": Entry(
        "a pattern has no star",
        "`like` compares the whole text; without `*` only one text matches, as with `==`.",
        "Write `*` where any text may stand, or use `==`.",
    ),
    "S401": Entry(
        "this is no list of share types",
        "The text is neither what an OpenStack client prints about share types nor a mapping from types to specs.",
        "Give the output of `openstack share type list --long -f json`, or a YAML mapping: type -> extra specs.",
    ),
    "S402": Entry(
        "a share type has no name",
        "Every share type of Manila has a name, and the document needs one.",
        "Give it a name.",
    ),
    "S403": Entry(
        "an extra spec cannot be read",
        "Extra specs are pairs of a key and a text, each key once.",
        "Write `key: value` in a mapping, or `key : value` in a line.",
    ),
    "S404": Entry(
        "an extra spec has no counterpart here",
        "No rule of ours means what Manila means, so none was written and more pools fit than in Manila.",
        "Write a rule by hand; the help line says how it could read.",
    ),
    "S405": Entry(
        "an extra spec matches nothing in Manila",
        "No value of a pool satisfies it, or Manila's scheduler fails on it, so no share of the type can be made.",
        "Correct or remove it in Manila first.",
    ),
    "S406": Entry(
        "a setting is not what Manila accepts",
        "Sizes are whole GiB, truth values are words that Manila knows, and settings do not contradict each other.",
        "Correct the value.",
    ),
    "S411": Entry(
        "a name was changed",
        "Names of types and zones have small letters, digits and dashes; those of attributes have `_` for dashes.",
        "Use the new name in requests and on the pools.",
    ),
    "S412": Entry(
        "two names became one",
        "Names that differ in Manila are equal once they are made valid.",
        "Rename one of them.",
    ),
    "S413": Entry(
        "an extra spec means something else than it seems",
        "The rule has Manila's meaning, which is probably not what was meant.",
        "Compare the rule with the source; the help line says what may have been meant.",
    ),
    "S414": Entry(
        "Manila ignores case",
        "Manila compares texts in lower case; our rules compare them as they are.",
        "Write the text exactly as the pools report it.",
    ),
    "S415": Entry(
        "Manila looks at each value of a list",
        "A pool of Manila that reports a list passes when one value of it matches.",
        "Declare one value on each pool, or ask for membership in a list.",
    ),
    "S416": Entry(
        "whether the value is text or a boolean is a guess",
        "Manila takes the word as a boolean when the pool reports one, and as text when it reports text.",
        "Keep the rule when the pools declare true or false; else write the text in quotes.",
    ),
    "S417": Entry(
        "a part of the value is never looked at",
        "Manila's operators compare single words and pass over the rest.",
        "Compare what is left with what was meant.",
    ),
    "S418": Entry(
        "something of Manila has no place in a share type",
        "It decides no placement: an instruction to a driver, or a setting that share types do not have.",
        "Look for an option of the backend, a quota or a request with the same effect, or leave it.",
    ),
    "S419": Entry(
        "a default of Manila is another one",
        "What Manila assumes when nothing is written differs from what is assumed here.",
        "Keep what was written, or change it on purpose.",
    ),
    "S501": Entry(
        "a file cannot be formatted",
        "In its best form the file would say something else or lose a comment, so it was left as it is.",
        "Simplify what is unusual, such as very long keys, or leave the file out.",
    ),
}
