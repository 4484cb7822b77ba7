"""What outside readers say of scan documents, one a line: the standard's JSON schema, the public generator of event
hashes, and a public reader of GS1 keys. Prints a line a judge: name, what was judged, agreed, the first that did not."""

import json
import re
import sys

import jsonschema
from epcis_event_hash_generator.hash_generator import epcis_hashes_from_events
from epcis_event_hash_generator.json_to_py import event_list_from_epcis_document_json
from epcpy.epc_schemes.sgln import SGLN
from epcpy.epc_schemes.sgtin import SGTIN

schema_file, *documents = sys.argv[1:]
with open(schema_file, encoding="utf-8") as file:
    schema = jsonschema.Draft7Validator(json.load(file), format_checker=jsonschema.FormatChecker())

tallies = {}


def judge(name, subject, agrees):
    judged, agreed, first = tallies.get(name, (0, 0, ""))
    if not agrees and not first:
        first = subject
    tallies[name] = (judged + 1, agreed + bool(agrees), first)


def check_digit(body):
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return str(-total % 10)


def judge_key(uri):
    """The key as the reader has it, made anew from what it took out of the URI, is the key that was written."""
    link = re.fullmatch(r"https://id\.gs1\.org/(01|414)/(\d+)(?:/(21|254)/(.+))?", uri)
    urn = re.fullmatch(r"urn:epc:(?:id|idpat):(sgtin|sgln):(.+)", uri)
    if link:
        kind, key, _, extension = link.groups()
        if kind == "01":
            made = SGTIN.from_gs1_element_string(f"(01){key}(21){extension or '0'}", 7).gtin()
        else:
            made = SGLN.from_gs1_element_string(f"(414){key}(254){extension or '0'}", 7).gs1_key()[: len(key)]
        judge("keys as links, by epcpy", uri, made == key and key[-1] == check_digit(key[:-1]))
    elif urn:
        scheme, body = urn.groups()
        body = body.replace(".*", ".0")
        reader = SGTIN if scheme == "sgtin" else SGLN
        judge("keys as URNs, by epcpy", uri, reader(f"urn:epc:id:{scheme}:{body}").gs1_key())


def uris(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "@context":
                yield from uris(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from uris(inner)
    elif isinstance(value, str) and (value.startswith("https://id.gs1.org/") or value.startswith("urn:epc:id")):
        yield value


seen = set()
for path in documents:
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            document = json.loads(line)
            where = f"{path}:{number}"
            error = next(schema.iter_errors(document), None)
            judge("documents, by the schema", f"{where}: {error.message[:200] if error else ''}", error is None)
            events = document["epcisBody"]["eventList"]
            hashes = epcis_hashes_from_events(event_list_from_epcis_document_json(document))
            if isinstance(hashes, tuple):
                hashes = hashes[0]
            for event, made in zip(events, hashes, strict=True):
                judge("event hashes, by the generator", f"{where}: {event['eventID']} {made}", event["eventID"] == made)
            for uri in uris(events):
                if uri not in seen:
                    seen.add(uri)
                    try:
                        judge_key(uri)
                    except Exception as error:
                        judge("keys, by epcpy", f"{uri}: {error!r}", False)

for name, (judged, agreed, first) in tallies.items():
    print(json.dumps({"judge": name, "judged": judged, "agreed": agreed, "first": first}))
