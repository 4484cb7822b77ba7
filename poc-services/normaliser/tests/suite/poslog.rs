//! POSLog documents → movements: every row of `docs/formats/what-moves-stock.md` through the normaliser, identity, units, and what
//! goes to the dead letters.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use contracts::ids::{BusinessDay, LocationId, SourceId, TimeMs, TransactionId};
use contracts::records::{Article, MovementKind, Pack};
use contracts::wire::poslog::{ItemCode, StockUnit, parse, stock_and_confirmed};
use contracts::wire::{FORMAT_POSLOG_2, FORMAT_POSLOG_6, QUANTITY_MAX};
use normaliser::{BusinessClock, Catalogue, Normalised, Normaliser, RawMessage, RawTopic, Rejection};
use prost::Message as _;

const PACK: i64 = 12;
/// What is kept in pieces, and what in kilograms.
const OATS: u32 = 100_234;
const APPLES: u32 = 7;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/tests/data/poslog")
}

fn case(name: &str) -> Vec<u8> {
    fs::read(folder().join(name).with_extension("xml")).unwrap()
}

fn article(sku: u32, gtin: u64, plu: u32, weighed: bool) -> Article {
    Article {
        sku,
        gtin,
        plu,
        weighed,
        pack_size: PACK as u32,
        ..Article::default()
    }
}

fn catalogue_of(articles: &[Article]) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for article in articles {
        assert!(catalogue.apply(b"", Some(&article.encode_to_vec())));
    }
    catalogue
}

fn normalised(
    key: &str,
    format: &str,
    payload: &[u8],
    catalogue: &Catalogue,
) -> Result<Normalised, Rejection> {
    let raw = RawMessage {
        topic: RawTopic::Till,
        key: key.as_bytes(),
        payload,
        format: Some(format.as_bytes()),
        group: None,
    };
    let mut out = Normalised::default();
    let mut normaliser = Normaliser::new(BusinessClock::default());
    normaliser.normalise(&raw, catalogue, &mut out).map(|()| out)
}

/// A catalogue that has what a document names: each line that moves is of an article of its own, in the unit of the line.
fn catalogue_for(document: &[u8]) -> Catalogue {
    let mut articles: BTreeMap<u32, Article> = BTreeMap::new();
    let (mut lines, mut confirmed) = (Vec::new(), Vec::new());
    let document = parse(document).unwrap();
    for transaction in &document.transactions {
        if stock_and_confirmed(transaction, &mut lines, &mut confirmed).is_err() {
            continue;
        }
        for line in lines.iter().chain(&confirmed) {
            let (gtin, plu) = match line.code {
                Some(ItemCode::Gtin(gtin)) => (gtin.value(), 0),
                Some(ItemCode::Plu(plu)) => (1_000_000 + u64::from(plu), plu),
                None => (2_000_000 + u64::from(line.sku.unwrap().0), 0),
            };
            let sku = line.sku.map_or(900_000 + (gtin % 50_000) as u32, |sku| sku.0);
            let weighed = line.unit == StockUnit::Kilogram;
            let known = articles
                .entry(sku)
                .or_insert_with(|| article(sku, gtin, plu, weighed));
            known.weighed |= weighed;
            if line.code.is_some() {
                (known.gtin, known.plu) = (gtin, plu);
            }
        }
    }
    let articles: Vec<Article> = articles.into_values().collect();
    catalogue_of(&articles)
}

/// As the table has it: `SOLD` 2 Each.
fn shown(kind: MovementKind, thousandths: i64) -> String {
    let name = format!("{kind:?}")
        .chars()
        .fold(String::new(), |mut name, letter| {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
            name
        });
    format!("{name} {thousandths}")
}

/// The cell of the table, with cartons in pieces.
fn expected(moves: &str) -> Vec<String> {
    if moves == "nothing" {
        return Vec::new();
    }
    moves
        .split([',', ';'])
        .map(|line| {
            let mut parts = line.split_whitespace();
            let kind = parts.next().unwrap().trim_matches('`').to_owned();
            let (units, part) = {
                let text = parts.next().unwrap();
                let (units, part) = text.split_once('.').unwrap_or((text, "000"));
                (units.to_owned(), part.parse::<i64>().unwrap())
            };
            let sign = if units.starts_with('-') { -1 } else { 1 };
            let thousandths = units.parse::<i64>().unwrap() * 1000 + sign * part;
            let factor = if parts.next() == Some("Carton") { PACK } else { 1 };
            format!("{kind} {}", thousandths * factor)
        })
        .collect()
}

#[test]
fn every_row_of_what_moves_stock_is_what_comes_out_of_the_normaliser() {
    let page = folder().join("../../../../../docs/formats/what-moves-stock.md");
    let page = fs::read_to_string(page).unwrap();
    let mut rows = 0;
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, _, moves] = cells[..] else { continue };
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else {
            continue;
        };
        rows += 1;
        let document = case(name);
        let store = parse(&document).unwrap().transactions[0].store;
        let key = LocationId::store(store).to_string();
        let format = if name.ends_with("-v2") {
            FORMAT_POSLOG_2
        } else {
            FORMAT_POSLOG_6
        };
        let result = normalised(&key, format, &document, &catalogue_for(&document));
        if let Some(class) = moves.strip_prefix("refused: `") {
            let rejection = result.expect_err(name);
            assert_eq!(rejection.class, class.trim_end_matches('`'), "{name}");
            continue;
        }
        let out = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        let moved: Vec<String> = out
            .lines
            .iter()
            .map(|line| shown(line.kind(), line.quantity))
            .collect();
        assert_eq!(moved, expected(moves), "{name}");
        let transactions = parse(&document).unwrap().transactions.len();
        assert_eq!(
            out.transactions.len(),
            transactions,
            "{name}: every number is seen"
        );
    }
    assert!(rows > 60, "{rows}");
}

const TRANSACTION: &str = "<Transaction><BusinessUnit><UnitID>0042</UnitID></BusinessUnit><WorkstationID>3</WorkstationID>\
    <SequenceNumber>NUMBER</SequenceNumber>BODY</Transaction>";

fn document(transactions: &[(u32, &str)]) -> Vec<u8> {
    let mut text =
        "<POSLog xmlns=\"http://www.nrf-arts.org/IXRetail/namespace/\" MajorVersion=\"6\">".to_owned();
    for (number, body) in transactions {
        text += &TRANSACTION
            .replace("NUMBER", &number.to_string())
            .replace("BODY", body);
    }
    (text + "</POSLog>").into_bytes()
}

fn sale(item: &str, quantity: &str) -> String {
    format!(
        "<RetailTransaction><LineItem><Sale>{item}{quantity}</Sale><SequenceNumber>1</SequenceNumber></LineItem>\
         </RetailTransaction><BusinessDayDate>2025-03-14</BusinessDayDate><EndDateTime>2025-03-15T02:01:00Z</EndDateTime>"
    )
}

fn two() -> Catalogue {
    catalogue_of(&[
        article(OATS, 614_141_999_996, 0, false),
        article(APPLES, 2_000_012_345_678, 4011, true),
    ])
}

fn moved(item: &str, quantity: &str) -> Result<(u32, i64), Rejection> {
    let document = document(&[(7, &sale(item, quantity))]);
    let out = normalised("S0042", FORMAT_POSLOG_6, &document, &two())?;
    Ok((out.lines[0].sku, out.lines[0].quantity))
}

fn class(result: Result<(u32, i64), Rejection>) -> &'static str {
    result.expect_err("refused").class
}

#[test]
fn each_transaction_of_a_document_is_a_movement_of_its_own_identity() {
    let item = format!("<ItemID>{OATS}</ItemID>");
    let receipt = sale(&item, "<Quantity>2</Quantity>");
    let control = "<BeginDateTime>2025-03-15T03:59:59Z</BeginDateTime><ControlTransaction><NoSale/></ControlTransaction>";
    let silent = "<BusinessDayDate>2025-03-14</BusinessDayDate>";
    let document = document(&[(9_999, &receipt), (1, control), (2, silent)]);
    let out = normalised("S0042", FORMAT_POSLOG_6, &document, &two()).unwrap();
    let id = |number| TransactionId {
        source: SourceId::till(LocationId::store(42), 3),
        // The second has no business day: it is the local date less the cut-over hour.
        business_day: BusinessDay(20_161),
        number,
    };
    let ids: Vec<TransactionId> = out
        .transactions
        .iter()
        .map(|transaction| transaction.id)
        .collect();
    assert_eq!(ids, [id(9_999), id(1), id(2)]);
    let lines: Vec<usize> = out
        .transactions
        .iter()
        .map(|one| out.lines_of(one).len())
        .collect();
    assert_eq!(lines, [1, 0, 0]);
    let four = TimeMs((20_161 * 24 + 4) * 3_600_000);
    assert_eq!(out.transactions[0].occurred, TimeMs(1_742_004_060_000));
    assert_eq!(
        out.transactions[2].occurred, four,
        "no time: the day's first instant"
    );
    let hashes: Vec<u64> = out.transactions.iter().map(|one| one.content_hash).collect();
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
}

#[test]
fn a_transaction_sent_again_in_another_document_has_the_same_hash_and_another_content_has_not() {
    let hash = |transactions: &[(u32, &str)]| {
        let document = document(transactions);
        let out = normalised("S0042", FORMAT_POSLOG_6, &document, &two()).unwrap();
        out.transactions.last().unwrap().content_hash
    };
    let item = format!("<ItemID>{OATS}</ItemID>");
    let receipt = sale(&item, "<Quantity>2</Quantity>");
    let spaced = receipt.replace("<LineItem>", "\n  <LineItem EntryMethod='Keyed'>");
    let control = "<BusinessDayDate>2025-03-14</BusinessDayDate>";
    assert_eq!(hash(&[(7, &receipt)]), hash(&[(6, control), (7, &spaced)]));
    assert_ne!(
        hash(&[(7, &receipt)]),
        hash(&[(7, &sale(&item, "<Quantity>3</Quantity>"))])
    );
    assert_ne!(hash(&[(7, &receipt)]), hash(&[(8, &receipt)]));
}

#[test]
fn an_article_is_found_by_what_the_line_has_and_contradictions_are_refused() {
    let gtin = "<POSIdentity><POSItemID>00614141999996</POSItemID></POSIdentity>";
    let plu = "<POSIdentity><POSItemID>4011</POSItemID></POSIdentity>";
    let one = "<Quantity>1</Quantity>";
    let kilograms = "<Quantity UnitOfMeasureCode='KGM'>0.425</Quantity>";
    assert_eq!(moved(gtin, one), Ok((OATS, 1000)));
    assert_eq!(moved(&format!("<ItemID>{OATS}</ItemID>"), one), Ok((OATS, 1000)));
    assert_eq!(moved(plu, kilograms), Ok((APPLES, 425)));
    assert_eq!(
        moved(&format!("{gtin}<ItemID>{OATS}</ItemID>"), one),
        Ok((OATS, 1000))
    );
    assert_eq!(
        class(moved(&format!("{gtin}<ItemID>{APPLES}</ItemID>"), one)),
        "item-conflict"
    );
    for unknown in [
        "<ItemID>100235</ItemID>",
        "<POSIdentity><POSItemID>4012</POSItemID></POSIdentity>",
        "<POSIdentity><POSItemID>04012345123456</POSItemID></POSIdentity>",
    ] {
        assert_eq!(class(moved(unknown, one)), Rejection::UNKNOWN_ITEM, "{unknown}");
    }
}

#[test]
fn a_quantity_is_brought_to_the_base_unit_of_its_article_or_refused() {
    let oats = format!("<ItemID>{OATS}</ItemID>");
    let apples = format!("<ItemID>{APPLES}</ItemID>");
    let of =
        |unit: &str, quantity: &str| format!("<Quantity UnitOfMeasureCode='{unit}'>{quantity}</Quantity>");
    assert_eq!(moved(&oats, &of("EA", "3")), Ok((OATS, 3000)));
    assert_eq!(moved(&oats, &of("CS", "2")), Ok((OATS, 24_000)));
    assert_eq!(moved(&apples, &of("GRM", "250")), Ok((APPLES, 250)));
    assert_eq!(moved(&apples, "<Quantity>0.3</Quantity>"), Ok((APPLES, 300)));
    for (item, unit) in [(&oats, "KGM"), (&apples, "EA"), (&oats, "LTR"), (&apples, "MTR")] {
        assert_eq!(
            class(moved(item, &of(unit, "2"))),
            "unit-conflict",
            "{item} {unit}"
        );
    }
    let most = (QUANTITY_MAX.0 / 1000).to_string();
    assert_eq!(class(moved(&oats, &of("CT", &most))), "bad-quantity");
    let mut unpacked = article(OATS, 614_141_999_996, 0, false);
    unpacked.pack_size = 0;
    let document = document(&[(7, &sale(&oats, &of("CT", "1")))]);
    let refused = normalised("S0042", FORMAT_POSLOG_6, &document, &catalogue_of(&[unpacked]));
    assert_eq!(refused.unwrap_err().class, "unknown-pack");
}

#[test]
fn a_line_that_names_a_carton_counts_cartons() {
    let carton = Pack {
        gtin: 10_614_141_999_993,
        quantity: 24_000,
    };
    let oats = Article {
        packs: vec![carton],
        ..article(OATS, 614_141_999_996, 0, false)
    };
    let code = "<POSIdentity><POSItemID>10614141999993</POSItemID></POSIdentity>";
    let moved = |unit: &str| {
        let quantity = format!("<Quantity{unit}>2</Quantity>");
        let document = document(&[(7, &sale(code, &quantity))]);
        let catalogue = catalogue_of(std::slice::from_ref(&oats));
        normalised("S0042", FORMAT_POSLOG_6, &document, &catalogue).map(|out| out.lines[0].quantity)
    };
    // The carton's own content, whatever another pack size of the article is.
    for unit in ["", " UnitOfMeasureCode='EA'", " UnitOfMeasureCode='CT'"] {
        assert_eq!(moved(unit), Ok(48_000), "{unit}");
    }
    let refused = moved(" UnitOfMeasureCode='KGM'").unwrap_err();
    assert_eq!(refused.class, "unit-conflict");
}

#[test]
fn one_bad_transaction_takes_its_whole_document_to_the_dead_letters() {
    let good = sale(&format!("<ItemID>{OATS}</ItemID>"), "<Quantity>1</Quantity>");
    let bad = sale(&format!("<ItemID>{OATS}</ItemID>"), "");
    let whole = document(&[(7, &good), (8, &bad)]);
    let mut out = Normalised::default();
    let raw = RawMessage {
        topic: RawTopic::Till,
        key: b"S0042",
        payload: &whole,
        format: Some(FORMAT_POSLOG_6.as_bytes()),
        group: None,
    };
    let mut normaliser = Normaliser::new(BusinessClock::default());
    let rejection = normaliser.normalise(&raw, &two(), &mut out).unwrap_err();
    assert_eq!(rejection.class, "bad-quantity");
    assert!(
        rejection.message.contains("transaction 8 of till 3"),
        "{rejection}"
    );
    assert_eq!(out, Normalised::default(), "nothing of it is left");
    let elsewhere = normalised("S0041", FORMAT_POSLOG_6, &document(&[(7, &good)]), &two());
    assert_eq!(elsewhere.unwrap_err().class, "wrong-location");
    let nameless = document(&[(7, "<ControlTransaction><NoSale/></ControlTransaction>")]);
    let timeless = normalised("S0042", FORMAT_POSLOG_6, &nameless, &two());
    assert_eq!(timeless.unwrap_err().class, "bad-header");
}

/// Documents that are refused whole, by their golden files, and floods.
#[test]
fn hostile_xml_goes_to_the_dead_letters_with_its_class() {
    let mut classes = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("bad-") || path.extension().is_none_or(|end| end != "xml") {
            continue;
        }
        let refused = normalised("S0042", FORMAT_POSLOG_6, &fs::read(&path).unwrap(), &two());
        let class = refused.expect_err(&name).class;
        let golden = fs::read_to_string(path.with_extension("txt")).unwrap();
        assert!(
            golden.starts_with(&format!("refused {class}:")),
            "{name}: {class}, {golden}"
        );
        *classes.entry(class).or_insert(0) += 1;
    }
    for class in [
        "bad-encoding",
        "bad-xml",
        "forbidden-xml",
        "xml-bound",
        "not-poslog",
        "bad-header",
        "bad-item",
    ] {
        assert!(classes.contains_key(class), "{class} of {classes:?}");
    }
    let depth = "<x>".repeat(100_000);
    let attributes = format!("<POSLog {}/>", "a='' ".repeat(100_000));
    for (text, class) in [
        (format!("<POSLog>{depth}"), "xml-bound"),
        (attributes, "xml-bound"),
        (
            format!("<POSLog>{}</POSLog>", " ".repeat(1024 * 1024)),
            "too-long",
        ),
        (
            "<!DOCTYPE p [<!ENTITY a 'b'>]><POSLog>&a;</POSLog>".to_owned(),
            "forbidden-xml",
        ),
    ] {
        let refused = normalised("S0042", FORMAT_POSLOG_2, text.as_bytes(), &two());
        assert_eq!(refused.unwrap_err().class, class);
    }
}

#[test]
fn a_delivery_keeps_its_despatch_advice() {
    let document = case("receive");
    let out = normalised("S0042", FORMAT_POSLOG_6, &document, &catalogue_for(&document)).unwrap();
    let advice = parse(&document).unwrap().transactions[0].inventory[0]
        .despatch_advice()
        .unwrap();
    assert!(advice > 0);
    assert_eq!(out.transactions[0].despatch_advice, advice);
}
