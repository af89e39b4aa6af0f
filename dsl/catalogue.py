"""Every code that a spec problem can carry, with its cause and its fix.

``S0xx`` files and YAML, ``S1xx`` one document, ``S2xx`` the set as a whole, ``S3xx`` expressions, ``S4xx`` what comes
from Manila, ``S5xx`` what commands say. A code never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Entry(NamedTuple):
    """One code: what it is about, why it comes up, what to do."""

    title: str
    cause: str
    fix: str


CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {
        "S001": Entry(
            "a file or directory cannot be read",
            "The path is missing, is not a regular file, leads out of its directory, or may not be read.",
            "Correct the path or its permissions.",
        ),
        "S002": Entry(
            "there is nothing to read",
            "No path was given, or no document is in the files that were found.",
            "Name a directory with *.yaml or *.yml files that hold at least one document.",
        ),
        "S003": Entry(
            "a file is too large",
            "A spec file may have 1 MiB at most.",
            "Split the file; a directory may hold many.",
        ),
        "S004": Entry(
            "a file is not UTF-8 text",
            "The bytes at this place are not UTF-8, perhaps because the file is in another encoding.",
            "Save the file as UTF-8.",
        ),
        "S005": Entry(
            "a character is not allowed",
            "Control characters, invisible direction marks and unpaired surrogates hide what a file says.",
            "Remove the character.",
        ),
        "S006": Entry(
            "the text is not YAML",
            "The YAML parser cannot go on at this place.",
            "Follow the help line; often a quote, a bracket or an indentation is missing.",
        ),
        "S007": Entry(
            "anchors and aliases are not used",
            "An alias makes a file mean more than it shows.",
            "Write the value out where it is needed.",
        ),
        "S008": Entry(
            "merge keys are not used",
            "`<<` takes keys from elsewhere, which hides what a document says.",
            "Write the keys out.",
        ),
        "S009": Entry(
            "tags and directives are not used",
            "Values are read by the rules of YAML 1.2 alone.",
            "Remove the tag or directive; quote a value to make it text.",
        ),
        "S010": Entry(
            "a key is there twice",
            "Of two equal keys in one mapping, only one could count.",
            "Remove or rename one of them.",
        ),
        "S011": Entry(
            "the nesting is too deep",
            "Collections may be nested 32 levels deep.",
            "Make the document flatter.",
        ),
        "S012": Entry(
            "a file has too many values",
            "A file may have 10,000 keys and values.",
            "Split the file.",
        ),
        "S013": Entry(
            "a key is not text",
            "Every key is text; numbers, true, false and null are not, unless they are quoted.",
            "Quote the key.",
        ),
        "S014": Entry(
            "a number cannot be used",
            "Numbers are finite and have 30 digits at most.",
            "Write a smaller number, or quote it to make it text.",
        ),
        "S101": Entry(
            "the kind is unknown",
            "The document is of a kind that this version does not have.",
            "Use one of the kinds that the help line lists.",
        ),
        "S102": Entry(
            "the API version is unknown",
            "Every document says which version of the language it is written in.",
            "Write `apiVersion: shareflow/v1`.",
        ),
        "S103": Entry(
            "a key is missing",
            "The document lacks a key that it must have.",
            "Add the key.",
        ),
        "S104": Entry(
            "a key is unknown",
            "The document has a key that its kind does not have.",
            "Correct or remove the key.",
        ),
        "S105": Entry(
            "a value has the wrong type",
            "The key wants a value of another type. Nothing is converted silently.",
            "Write a value of the type that the message names.",
        ),
        "S106": Entry(
            "a value is not allowed",
            "The value has the right type, but is out of range or malformed.",
            "Write a value that the message allows.",
        ),
        "S107": Entry(
            "a secret is written into the file",
            "Spec files live in version control, so they refer to secrets and never hold them.",
            "Write {env: NAME} or {file: PATH}; the worker reads it when it starts.",
        ),
        "S109": Entry(
            "a document is not a mapping",
            "A document is a mapping with apiVersion, kind, and the keys of its kind.",
            "Write keys and values.",
        ),
        "S201": Entry(
            "a name is there twice",
            "Names are unique per kind in the whole set, pool names in their backend.",
            "Rename or remove one of them.",
        ),
        "S202": Entry(
            "a reference leads nowhere",
            "The name refers to something that is not in the set.",
            "Correct the name, or add what it names.",
        ),
        "S203": Entry(
            "no pool can satisfy a type",
            "Every pool of the set declares a value that the type does not accept.",
            "Change what the type requires or what a pool declares.",
        ),
        "S204": Entry(
            "no pool declares an attribute",
            "The type requires an attribute that no pool of the set declares and no built-in driver reports.",
            "Correct the name, or declare the attribute on the pools that have it.",
        ),
        "S205": Entry(
            "a word looks like true or false",
            "`yes`, `no`, `on` and `off` are text in YAML 1.2.",
            "Write true or false, or quote the word to keep it as text.",
        ),
        "S206": Entry(
            "an attribute is declared twice, differently",
            "One attribute has one type on all backends, and those that every pool has cannot be declared anew.",
            "Declare it alike everywhere, or choose another name.",
        ),
        "S207": Entry(
            "a value is not of its attribute's type",
            "The attribute is declared, or known from other pools, with a type that this value does not have.",
            "Correct the value, or the declaration.",
        ),
        "S250": Entry(
            "two limits exclude each other",
            "A ceiling is for reads and writes together, or split into one for each; not both.",
            "Keep the total, or the split.",
        ),
        "S251": Entry(
            "a key has nothing to go with",
            "The key only changes how another key is meant, and that one is not there.",
            "Add the key that the help line names, or remove this one.",
        ),
        "S252": Entry(
            "two keys contradict each other",
            "A burst below its ceiling, a floor above it, or a limit that cannot be meant in this way.",
            "Change one of the two.",
        ),
        "S253": Entry(
            "a QoS class says nothing",
            "A class has at least one limit, or a latency target.",
            "Write a limit like `max_iops: 5000`, or remove the class.",
        ),
        "S254": Entry(
            "no backend enforces a QoS class",
            "The drivers of all backends of the set are known, and none of them enforces what the class needs.",
            "Use another backend, remove the keys, or write `enforce: best_effort`.",
        ),
        "S255": Entry(
            "no pool has a budget for a floor",
            "A floor is promised out of a pool's budget, and no pool of the set declares one of that kind.",
            "Give pools a budget: `qos: {iops: 100000, throughput: 10 GiB/s}`.",
        ),
        "S260": Entry(
            "a test expects nothing, or too much",
            "A test says at least one thing that must come of it, and nothing that excludes another.",
            "Write one of `pool`, `none`, `order`, `fits` and `rejects` under `expect`.",
        ),
        "S261": Entry(
            "a test names a pool that it does not have",
            "The pools of a test are those that the set declares, or those that the test lists.",
            "Correct the name, write it as `backend/pool`, or add the pool.",
        ),
        "S262": Entry(
            "no test was found",
            "No file that ends in .test.yaml is in the directories that were named, or none holds a test.",
            "Write a document of the kind PlacementTest into such a file, beside the specs.",
        ),
        "S270": Entry(
            "this is no list of requests",
            "The requests that are replayed are one list in one document.",
            "Write a list: `[{size: 10 GiB, type: standard}]`.",
        ),
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
)
