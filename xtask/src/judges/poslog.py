"""What libxml2 says of POSLog documents, one a line of the files of a folder each: are they well-formed XML with declared
namespaces. Prints a line a folder: name, what was judged, agreed, the first that it refused."""

import json
import pathlib
import sys

from lxml import etree

for folder in map(pathlib.Path, sys.argv[1:]):
    judged, agreed, first = 0, 0, ""
    for path in sorted(folder.iterdir()):
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            if not line:
                continue
            judged += 1
            try:
                etree.fromstring(line, etree.XMLParser(no_network=True, resolve_entities=False))
                agreed += 1
            except etree.XMLSyntaxError as error:
                first = first or f"{path}:{number}: {error}"
    name = f"{folder.name} documents well-formed, by libxml2"
    print(json.dumps({"judge": name, "judged": judged, "agreed": agreed, "first": first}))
