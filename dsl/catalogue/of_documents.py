"""The codes of files, of single documents, and of the set as a whole."""

from __future__ import annotations

from dsl.catalogue.entry import Entry

ENTRIES = {
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
    "S240": Entry(
        "no pool can hold replicas of this sort",
        "The drivers of all pools that the type may use are known. Readable replicas need the access mode `ro`, dr "
        "replicas need `none`, and no built-in driver holds writable ones.",
        "Write the `type` that the help line names, or use another backend.",
    ),
    "S241": Entry(
        "copies of a share cannot be apart",
        "Fewer than two pools, backends or zones, as `apart` says, can satisfy the type; a pool in no zone "
        "cannot be shown to be apart from another one.",
        "Let other pools satisfy the type, give them a zone, or write another `apart`.",
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
}
