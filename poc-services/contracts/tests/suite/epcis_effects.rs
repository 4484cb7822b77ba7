//! What moves stock: each row of the table in `docs/formats/epcis.md`, in all its combinations.

use contracts::wire::epcis;

const FLOOR: &str = "https://id.gs1.org/414/0614141000425/254/1";
const CLASS: &str = r#"[{"epcClass":"https://id.gs1.org/01/00614141999996","quantity":5}]"#;

fn document(kind: &str, action: &str, step: &str, disposition: &str) -> String {
    let content = match kind {
        "TransformationEvent" => format!(r#""inputQuantityList":{CLASS},"outputQuantityList":{CLASS}"#),
        "AggregationEvent" | "AssociationEvent" => {
            format!(r#""parentID":"urn:epc:id:sscc:0614141.1234567890","childQuantityList":{CLASS}"#)
        }
        _ => format!(
            r#""quantityList":{CLASS},"bizTransactionList":[{{"type":"desadv","bizTransaction":"urn:epcglobal:cbv:bt:0614141900008:7"}}]"#
        ),
    };
    let action = if action == "-" {
        String::new()
    } else {
        format!(r#""action":"{action}","#)
    };
    let variance = if step.ends_with("counting") || step == "stock_taking" {
        r#","stockstream:variance":[{"stockstream:class":"https://id.gs1.org/01/00614141999996","stockstream:quantity":1}]"#
    } else {
        ""
    };
    format!(
        r#"{{"@context":"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld","type":"EPCISDocument","schemaVersion":"2.0",
        "creationDate":"2025-03-14T09:30:00Z","epcisBody":{{"eventList":[{{"type":"{kind}",{action}"eventTime":"2025-03-14T09:26:53Z",
        "eventTimeZoneOffset":"+00:00","bizStep":"{step}","disposition":"{disposition}","bizLocation":{{"id":"{FLOOR}"}},{content}{variance}}}]}}}}"#
    )
}

#[test]
fn each_row_of_the_documented_table_holds() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/epcis.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("<!-- effects -->").unwrap();
    let mut checked = 0;
    for row in table
        .trim_start()
        .lines()
        .take_while(|row| row.starts_with('|'))
        .skip(2)
    {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [fact, kind, actions, steps, dispositions, effect] = *cells else {
            panic!("{row}");
        };
        for action in actions.split(", ") {
            for step in steps.split(", ") {
                for disposition in dispositions.split(", ") {
                    let text = document(kind, action, step, disposition);
                    let told = match epcis::read(text.as_bytes()) {
                        Ok(capture) => capture.events[0].effect.to_string(),
                        Err(error) => format!("refused: {}", error.class()),
                    };
                    assert_eq!(told, effect, "{fact}: {kind} {action} {step} {disposition}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100, "only {checked} combinations were checked");
}
