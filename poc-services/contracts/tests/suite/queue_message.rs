//! Message descriptors, RFH2 headers and code pages: golden bytes, both orders, and whatever bytes come.

use std::io::Write as _;
use std::process::{Command, Stdio};

use contracts::ids::TimeMs;
use contracts::wire::ebcdic::Ccsid;
use contracts::wire::mqmd::{self, Descriptor, Format, IN_GROUP, LAST_IN_GROUP};
use contracts::wire::queue_message::{open, record, record_at};
use proptest::prelude::*;

/// 2025-03-14T09:26:53.25Z
const PUT: TimeMs = TimeMs(1_741_944_413_250);

fn descriptor(ccsid: u32) -> Descriptor {
    Descriptor {
        ccsid,
        format: Format::None,
        priority: 4,
        persistent: true,
        message_id: *b"CSQ ACMEDC01A   \x01\x02\x03\x04\x05\x06\x07\x08",
        correlation_id: [0x40; 24],
        backout_count: 2,
        user: "ACME0001".into(),
        put_application_type: 1,
        put_application: "ACMEC01|INVM".into(),
        put: Some(PUT),
        group_id: [7; 24],
        sequence: 3,
        flags: IN_GROUP | LAST_IN_GROUP,
    }
}

fn written(descriptor: &Descriptor) -> Vec<u8> {
    let mut out = Vec::new();
    mqmd::write(descriptor, &mut out);
    out
}

#[test]
fn a_descriptor_is_written_as_the_layout_says() {
    let bytes = written(&descriptor(37));
    assert_eq!(bytes.len(), 364);
    // Offsets and values as IBM's declarations have them: StrucId, Version, MsgType, Expiry, Encoding, CCSID, Format.
    assert_eq!(bytes[..8], [0xd4, 0xc4, 0x40, 0x40, 0, 0, 0, 2]);
    assert_eq!(bytes[8..20], [0, 0, 0, 0, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(bytes[24..32], [0, 0, 0x03, 0x11, 0, 0, 0, 37]);
    assert_eq!(bytes[32..48], [[0x40; 8], [0, 0, 0, 4, 0, 0, 0, 1]].concat()[..]);
    assert_eq!(bytes[48..72], descriptor(37).message_id);
    assert_eq!(bytes[96..100], [0, 0, 0, 2]);
    assert_eq!(bytes[100..196], [0x40; 96]);
    let user = [
        0xc1, 0xc3, 0xd4, 0xc5, 0xf0, 0xf0, 0xf0, 0xf1, 0x40, 0x40, 0x40, 0x40,
    ];
    assert_eq!(bytes[196..208], user);
    assert_eq!(bytes[272..276], [0, 0, 0, 1]);
    assert_eq!(
        bytes[276..288],
        [
            0xc1, 0xc3, 0xd4, 0xc5, 0xc3, 0xf0, 0xf1, 0x4f, 0xc9, 0xd5, 0xe5, 0xd4
        ]
    );
    let put: Vec<u8> = b"2025031409265325".iter().map(|digit| digit | 0xf0).collect();
    assert_eq!(bytes[304..320], put[..]);
    assert_eq!(bytes[324..348], [7; 24]);
    assert_eq!(
        bytes[348..364],
        [0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 24, 0xff, 0xff, 0xff, 0xff]
    );
    assert_eq!(mqmd::read(&bytes), Ok((descriptor(37), 364)));
}

#[test]
fn each_code_page_writes_the_bar_where_it_has_it() {
    for (ccsid, bar) in [(37, 0x4f), (500, 0xbb), (1047, 0x4f), (1140, 0x4f)] {
        let bytes = written(&descriptor(ccsid));
        assert_eq!(bytes[283], bar, "{ccsid}");
        assert_eq!(mqmd::read(&bytes).unwrap().0, descriptor(ccsid));
    }
}

#[test]
fn a_descriptor_of_another_machine_is_read() {
    let big = written(&descriptor(1208));
    let mut little = big.clone();
    for at in [4, 8, 12, 16, 20, 24, 28, 40, 44, 96, 272, 348, 352, 356, 360] {
        little[at..at + 4].reverse();
    }
    // Text in ASCII, as a channel to x86 converts it.
    for (at, length, text) in [
        (0, 4, "MD"),
        (32, 8, ""),
        (196, 12, "ACME0001"),
        (276, 28, "ACMEC01|INVM"),
    ] {
        little[at..at + length].copy_from_slice(format!("{text:length$}").as_bytes());
    }
    little[304..320].copy_from_slice(b"2025031409265325");
    assert_eq!(mqmd::read(&little).unwrap().0, descriptor(1208));
    let mut first = written(&descriptor(37));
    first[7] = 1;
    let (read, length) = mqmd::read(&first[..324]).unwrap();
    assert_eq!(
        (length, read.sequence, read.flags, read.group_id),
        (324, 1, 0, [0; 24])
    );
}

fn rfh2(length: u32, ccsid: u32, format: [u8; 8], folders: &[&[u8]]) -> Vec<u8> {
    let mut out = [0xd9, 0xc6, 0xc8, 0x40].to_vec();
    for number in [2, length, 785, ccsid] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&format);
    out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0x04, 0xb8]);
    for folder in folders {
        out.extend_from_slice(&(folder.len() as u32).to_be_bytes());
        out.extend_from_slice(folder);
    }
    out
}

#[test]
fn headers_in_front_of_a_record_are_passed_over() {
    let rfh_in_front = Descriptor {
        format: Format::Rfh2,
        ..descriptor(37)
    };
    let folder = b"<usr><storeNo>0042</storeNo></usr>  ";
    let mut message = written(&rfh_in_front);
    message.extend(rfh2(76, 500, [0x40; 8], &[folder]));
    message.extend([9; 80]);
    let opened = open(&message).unwrap();
    assert_eq!((opened.record, opened.folders), (&[9; 80][..], vec![&folder[..]]));
    assert_eq!(opened.descriptor, Some(rfh_in_front));
    assert_eq!(record_at(&message), 364 + 76);
    // Without a descriptor too, and a record alone is one.
    assert_eq!(record(&message[364..]), [9; 80]);
    assert_eq!(record(&[9; 80]), [9; 80]);
    assert!(record(&[]).is_empty());
}

#[test]
fn what_cannot_be_taken_apart_is_told_by_class() {
    let announced = Descriptor {
        format: Format::Rfh2,
        ..descriptor(37)
    };
    let mut third = written(&descriptor(37));
    third[7] = 3;
    let whole = written(&descriptor(37));
    for (message, class) in [
        (whole[..363].to_vec(), "bad-mqmd"),
        (whole[..50].to_vec(), "bad-mqmd"),
        (third, "bad-mqmd"),
        (written(&descriptor(1208)), "unsupported-ccsid"),
        (written(&announced), "bad-rfh2"),
        (rfh2(36, 1208, [0x40; 8], &[]), "unsupported-ccsid"),
        (rfh2(40, 37, [0x40; 8], &[]), "bad-rfh2"),
        (rfh2(35, 37, [0x40; 8], &[]), "bad-rfh2"),
        (rfh2(44, 37, [0x40; 8], &[b"1234567"]), "bad-rfh2"),
        (rfh2(36, 0, [0x40; 8], &[]).repeat(9), "bad-rfh2"),
    ] {
        assert_eq!(open(&message).unwrap_err().class(), class, "{message:02x?}");
    }
}

#[test]
fn code_pages_are_those_of_iconv() {
    let all: Vec<u8> = (0..=255).collect();
    for ccsid in Ccsid::ALL {
        let name = format!("IBM{:03}", ccsid.number());
        let Some(text) = iconv(&name, &all) else {
            println!("skipped: no iconv on this machine");
            return;
        };
        assert_eq!(ccsid.decode(&all), text, "{name}");
        assert_eq!(ccsid.encode(&text), Some(all.clone()), "{name}");
    }
}

fn iconv(from: &str, bytes: &[u8]) -> Option<String> {
    let mut child = Command::new("iconv")
        .args(["-f", from, "-t", "UTF-8"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(bytes).ok()?;
    String::from_utf8(child.wait_with_output().ok()?.stdout).ok()
}

#[test]
fn code_pages_differ_in_ten_places_and_nowhere_else() {
    let at = [0x4a, 0x4f, 0x5a, 0x5f, 0x9f, 0xad, 0xb0, 0xba, 0xbb, 0xbd];
    for (ccsid, characters) in [
        (Ccsid::C037, "¢|!¬¤Ý^[]¨"),
        (Ccsid::C500, "[!]^¤Ý¢¬|¨"),
        (Ccsid::C1047, "¢|!^¤[¬Ý¨]"),
        (Ccsid::C1140, "¢|!¬€Ý^[]¨"),
    ] {
        assert_eq!(ccsid.decode(&at), characters, "{ccsid:?}");
        assert_eq!(ccsid.encode(characters).unwrap(), at, "{ccsid:?}");
        for byte in (0..=255).filter(|byte| !at.contains(byte)) {
            assert_eq!(ccsid.char_of(byte), Ccsid::C037.char_of(byte));
        }
    }
    assert_eq!(
        (Ccsid::C037.byte_of('€'), Ccsid::C1140.byte_of('¤')),
        (None, None)
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = (open(&bytes), record_at(&bytes), mqmd::read(&bytes));
    }

    #[test]
    fn no_damage_makes_it_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()
    ) {
        let mut message = written(&Descriptor { format: Format::Rfh2, ..descriptor(37) });
        message.extend(rfh2(76, 500, [0x40; 8], &[b"<usr><storeNo>0042</storeNo></usr>  "]));
        message.extend([9; 80]);
        let at = at.index(message.len());
        message[at] = byte;
        message.truncate(cut.index(message.len() + 1));
        let _ = (open(&message), record_at(&message));
    }
}
