//! POSLog: one file a case beside what must be read of it, the table of what moves stock, and the bounds.
//!
//! A new case is a new file under `tests/data/poslog`. `UPDATE_GOLDEN=1` writes what is read beside each document; look
//! at the difference before you commit it.

use std::collections::BTreeMap;

use crate::support;
use crate::support::poslog::{cases, moves, rendered};
use contracts::wire::poslog::{DOCUMENT_BYTES_MAX, ParseError, parse};

#[test]
fn every_document_is_read_as_the_text_beside_it_says() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for (name, path) in cases() {
        let read = rendered(&std::fs::read(&path).unwrap());
        let beside = path.with_extension("txt");
        if update {
            std::fs::write(&beside, &read).unwrap();
        }
        let expected = std::fs::read_to_string(&beside)
            .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", beside.display()));
        assert_eq!(read, expected, "{name}");
    }
}

/// Columns: file of the case, what the till wrote, what moves.
#[test]
fn the_table_of_what_moves_stock_is_what_is_read_row_for_row() {
    let page = support::path("../../../../docs/formats/what-moves-stock.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut rows = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let [case, _, moves] = cells[..]
            && let Some(case) = case.strip_prefix('`').and_then(|case| case.strip_suffix('`'))
        {
            assert_eq!(
                rows.insert(case.to_owned(), moves.to_owned()),
                None,
                "{case} twice"
            );
        }
    }
    for (name, path) in cases() {
        if name.starts_with("bad-") || name.starts_with("document-") {
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        let document = parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let moves: Vec<String> = document.transactions.iter().map(moves).collect();
        let moves = if moves.iter().all(|moves| moves == "nothing") {
            "nothing".to_owned()
        } else {
            moves.join("; ")
        };
        assert_eq!(rows.remove(&name), Some(moves), "the row of {name}");
    }
    assert!(rows.is_empty(), "rows without a case: {rows:?}");
}

#[test]
fn what_is_too_long_or_in_another_encoding_is_refused_unread() {
    let long = vec![b' '; DOCUMENT_BYTES_MAX + 1];
    assert_eq!(parse(&long).unwrap_err().class(), "too-long");
    let utf_16: Vec<u8> = "<POSLog/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(parse(&utf_16).unwrap_err().class(), "bad-xml");
    assert_eq!(
        parse(b"<POSLog a='\xe9'/>"),
        Err(ParseError::Encoding {
            found: "a byte that is no UTF-8".to_owned(),
            offset: 11
        })
    );
    assert!(parse("\u{feff}<POSLog/>".as_bytes()).is_ok());
}

/// Cut anywhere: an error, and never a part of the document.
#[test]
fn a_document_that_is_cut_off_is_refused() {
    let bytes = std::fs::read(support::path("poslog/document-template.xml")).unwrap();
    let whole = bytes.trim_ascii_end().len();
    for length in 0..whole {
        assert!(parse(&bytes[..length]).is_err(), "cut at {length}");
    }
    assert!(parse(&bytes[..whole]).is_ok());
}

#[test]
fn floods_are_refused_at_their_bound() {
    let inside = |text: &str| format!("<POSLog>{text}</POSLog>").into_bytes();
    let transaction = "<Transaction><BusinessUnit>1</BusinessUnit><WorkstationID>1</WorkstationID>\
                       <SequenceNumber>1</SequenceNumber>";
    let names: Vec<String> = (0..20).map(|name| format!(" xmlns:n{name}='u'")).collect();
    let names = names.concat();
    let namespaces = ["Transaction", "RetailTransaction", "LineItem", "Sale"]
        .map(|element| format!("<{element}{names}>"))
        .concat();
    for (what, bytes) in [
        ("depth", inside(&"<x>".repeat(100_000))),
        ("namespaces", inside(&namespaces)),
        ("attributes", inside(&format!("<x {}/>", "a='' ".repeat(100_000)))),
        (
            "transactions",
            inside(&format!("{transaction}</Transaction>").repeat(7000)),
        ),
        (
            "lines",
            inside(&format!(
                "{transaction}<RetailTransaction>{}</RetailTransaction></Transaction>",
                "<LineItem/>".repeat(80_000)
            )),
        ),
        (
            "text",
            inside(&format!(
                "{transaction}<TillID>{}</TillID></Transaction>",
                "9".repeat(2000)
            )),
        ),
    ] {
        match parse(&bytes) {
            Err(ParseError::Bound { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{what}: {:?}", other.map(|_| ())),
        }
    }
}
