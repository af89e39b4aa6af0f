"""Texts of spec files, and the form that the formatter gives them."""

from __future__ import annotations

HEAD = "apiVersion: shareflow/v1\nkind: ShareType\nname: gold\n"

CASES: dict[str, tuple[str, str]] = {
    "keys in the order of the model": (
        (
            "zones: [a]\nretention: 7 d\nname: gold\nlimits:\n  max_size: 2\n  min_size: 1\nkind: ShareType\n"
            "require: {z: 1, a: 2}\napiVersion: shareflow/v1\n"
        ),
        HEAD + "require: {z: 1, a: 2}\nlimits:\n  min_size: 1\n  max_size: 2\nretention: 7 d\nzones: [a]\n",
    ),
    "keys inside of lists and brackets as well": (
        "kind: Backend\npools:\n- attributes: {z: 1, a: 2}\n  zone: a\n  name: p1\n- {thin: true, name: p2}\n",
        "kind: Backend\npools:\n  - name: p1\n    zone: a\n    attributes: {z: 1, a: 2}\n  - {name: p2, thin: true}\n",
    ),
    "unknown keys come last in their order": (
        "b: 1\na: 2\nname: x\nkind: Quota\nlimits: {}\n",
        "kind: Quota\nname: x\nlimits: {}\nb: 1\na: 2\n",
    ),
    "unknown kinds keep the order of their own keys": (
        "z: 1\nname: x\nkind: K\na: 2\n",
        "kind: K\nname: x\nz: 1\na: 2\n",
    ),
    "comments go with their keys": (
        "# head\n\nname: gold\n\n# on kind\nkind: ShareType  # k\n# on api\n# two lines\napiVersion: shareflow/v1\n",
        "# head\n\n# on api\n# two lines\napiVersion: shareflow/v1\n\n# on kind\nkind: ShareType  # k\nname: gold\n",
    ),
    "comment before the first key is about the document": ("# all\nname: x\nkind: K\n", "# all\nkind: K\nname: x\n"),
    "comments at the end of what they are as deep as": (
        (
            "kind: Backend\npools:\n  - name: p1\n    # end of p1\n  # about p2\n  - name: p2\n  # end of pools\n"
            "# about slots\nslots: 8\n# end of document\n"
        ),
        (
            "kind: Backend\n# about slots\nslots: 8\npools:\n  - name: p1\n    # end of p1\n  # about p2\n"
            "  - name: p2\n  # end of pools\n# end of document\n"
        ),
    ),
    "comments beside keys, dashes and values": (
        "a: # one\n  b: 1 # two\n  c:   # three\nd:\n  - # four\n    e: 5 # five\n  -   x # six\n",
        "a:  # one\n  b: 1  # two\n  c:  # three\nd:\n  # four\n  - e: 5  # five\n  - x  # six\n",
    ),
    "comments between a key and its value": (
        "a: # one\n\n  # two\n  text # three\n",
        "# one\n# two\na: text  # three\n",
    ),
    "comments in brackets": (
        "a: [ # one\n 1, # two\n # three\n {b: c}] # four\ne: {f: 1, # five\n   g: [ ]\n # six\n }\n",
        (
            "a: [\n    # one\n    1,  # two\n    # three\n    {b: c},\n  ]  # four\n"
            "e: {\n    f: 1,  # five\n    g: [],\n    # six\n  }\n"
        ),
    ),
    "comments around documents": (
        "# before\n--- # beside\n# head\na: 1\n# end\n---\n# only a comment\n---\n# next\nb: 2\n... # after\n# last",
        "# before\n\n# beside\n# head\na: 1\n# end\n\n---\n# only a comment\n\n# next\nb: 2\n\n# after\n# last\n",
    ),
    "file of comments alone": ("\n\n#one\n\n\n\n# two   ", "# one\n\n# two\n"),
    "form of comments": ("#a\n##b\n#!c\n#\n#   d\n", "# a\n## b\n#!c\n#\n#   d\n"),
    "schema line stays first": (
        "#yaml-language-server: $schema=schema.json\nkind: Quota\napiVersion: shareflow/v1\n",
        "# yaml-language-server: $schema=schema.json\napiVersion: shareflow/v1\nkind: Quota\n",
    ),
    "blank lines": ("\n\na: 1\n\n\n\nb:\n\n  c: 2\n\n\n  d: 3\n\n\n", "a: 1\n\nb:\n  c: 2\n\n  d: 3\n"),
    "documents": ("---\na: 1\n---\nb: 2\n...\n---\n\nc: 3\n", "a: 1\n\n---\nb: 2\n\n---\nc: 3\n"),
    "empty file": ("", ""),
    "empty documents": ("---\n---\n...\n", ""),
    "final line break": ("a: 1", "a: 1\n"),
    "line breaks of other systems": ("a: 1 # c\r\n\r\nb: |\r\n  x\r\n  y\r\n", "a: 1  # c\n\nb: |\n  x\n  y\n"),
    "indentation": (
        "a:\n    b:\n     - c\n     -   d: 1\n         e: 2\n",
        "a:\n  b:\n    - c\n    - d: 1\n      e: 2\n",
    ),
    "lists in lists": ("a:\n- - 1\n  - 2\n-\n  - 3\n", "a:\n  - - 1\n    - 2\n  - - 3\n"),
    "quotes": (
        """a: 'x'\nb: 'it''s'\nc: 'say "x"'\nd: 'a\\b'\n'e': "f"\n""",
        """a: "x"\nb: "it's"\nc: 'say "x"'\nd: 'a\\b'\n"e": "f"\n""",
    ),
    "values as they are": (
        "a: True\nb: ~\nc: 0o17\nd: 1e3\ne: +5\nf: 2020-01-01\ng:\nh: NO\n",
        "a: True\nb: ~\nc: 0o17\nd: 1e3\ne: +5\nf: 2020-01-01\ng:\nh: NO\n",
    ),
    "spaces in brackets": ("a: [ x,y , {b:  1,c: } ]\nd: { }\n", "a: [x, y, {b: 1, c: }]\nd: {}\n"),
    "brackets over several lines": ("a: [x,\n  y]\n", "a: [\n    x,\n    y,\n  ]\n"),
    "pair without brackets of its own": ("a: [b: 1]\n", "a: [{b: 1}]\n"),
    "text over several lines": (
        "a: some text\n     goes on\n\n     here\nb: 'it\n  goes'\n",
        'a: some text\n  goes on\n\n  here\nb: "it\n  goes"\n',
    ),
    "blocks": (
        "a: |  # beside\n     one\n       two\n\n     three\n\n\n# next\nb: >-\n text\nc:\n- |+\n  kept\n\n\n- x\n",
        "a: |  # beside\n  one\n    two\n\n  three\n\n# next\nb: >-\n  text\nc:\n  - |+\n    kept\n\n\n  - x\n",
    ),
    "block with its own indentation": ("a: |4-\n      two deep\n    one\n", "a: |2-\n    two deep\n  one\n"),
    "block that the file ends in": ("a: |\n   no line break", "a: |-\n  no line break\n"),
    "rule in a block without a line": ("x: 1\nrequire: |+\n", "x: 1\nrequire: |+\n"),
    "block of spaces": ("a: >+\n\n     \n\nb: 1\n", "a: >+\n\n\n\nb: 1\n"),
    "keys over several lines": ("? |\n  a\n  b\n: 1\n? c\n: 2\n", '"a\\nb\\n": 1\nc: 2\n'),
    "wide characters": ("größe:   東京 # \N{ROCKET}\n", "größe: 東京  # \N{ROCKET}\n"),
    "directive of the version that is used": ("%YAML 1.2 # one\n---\na: 1\n", "# one\n\na: 1\n"),
    "no document of ours": (
        "- a\n-  b # c\n---\n text # d\n--- [1,2]\n",
        "- a\n- b  # c\n\n---\ntext  # d\n\n---\n[1, 2]\n",
    ),
}
