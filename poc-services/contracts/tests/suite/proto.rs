//! The `.proto` file is the contract: the derived types must say the same, field by field.

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};

use contracts::records::{
    Article, Barrier, BusinessDayBand, Cell, Completeness, Discrepancy, DiscrepancyLine, ExpectedSource,
    Head, ImageCell, ImagePart, ImagePlace, ImageSource, Intent, ItemTotal, Movement, MovementKind,
    MovementLine, NumberRange, Pack, Paper, PaperKind, PaperLine, Partial, PartialEnd, PartialPosition,
    Place, RecentContent, Rejected, RejectedUpTo, Replayed, Resolved, Seal, Seen, SourceKind, SourceMark,
    SourceState, Window,
};

fn file() -> prost_types::FileDescriptorProto {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let set = protox::compile(["stockstream.proto"], [root]).expect("the file compiles");
    prost_types::FileDescriptorSet::decode(&set.encode_to_vec()[..])
        .expect("a descriptor set")
        .file
        .into_iter()
        .find(|file| file.name() == "stockstream.proto")
        .expect("the file")
}

/// One field as it should stand on the wire: tag and a value that is not the default.
fn field_bytes(
    file: &prost_types::FileDescriptorProto,
    field: &prost_types::FieldDescriptorProto,
) -> Vec<u8> {
    let mut out = Vec::new();
    let tag = field.number() as u32;
    match field.r#type() {
        Type::Uint64 if field.label() == Label::Repeated => {
            prost::encoding::uint64::encode_packed(tag, &[7, 7], &mut out);
            return out;
        }
        Type::Uint32 => prost::encoding::uint32::encode(tag, &7, &mut out),
        Type::Uint64 => prost::encoding::uint64::encode(tag, &7, &mut out),
        Type::Int64 => prost::encoding::int64::encode(tag, &-7, &mut out),
        Type::Sint32 => prost::encoding::sint32::encode(tag, &-7, &mut out),
        Type::Sint64 => prost::encoding::sint64::encode(tag, &-7, &mut out),
        Type::Fixed32 => prost::encoding::fixed32::encode(tag, &7, &mut out),
        Type::Fixed64 => prost::encoding::fixed64::encode(tag, &7, &mut out),
        Type::Bool => prost::encoding::bool::encode(tag, &true, &mut out),
        Type::String => prost::encoding::string::encode(tag, &"text".to_owned(), &mut out),
        Type::Enum => prost::encoding::int32::encode(tag, &1, &mut out),
        Type::Message => {
            let nested = message_bytes(file, field.type_name().rsplit('.').next().unwrap());
            prost::encoding::bytes::encode(tag, &nested, &mut out);
        }
        other => panic!("{other:?} is not used in the contract"),
    }
    if field.label() == Label::Repeated {
        assert_eq!(
            field.r#type(),
            Type::Message,
            "only messages, and packed uint64, are repeated"
        );
        out.extend_from_within(..);
    }
    out
}

/// A message with all its fields, as the file states it.
fn message_bytes(file: &prost_types::FileDescriptorProto, name: &str) -> Vec<u8> {
    let message = file
        .message_type
        .iter()
        .find(|message| message.name() == name)
        .expect(name);
    let mut fields: Vec<_> = message.field.iter().collect();
    fields.sort_by_key(|field| field.number());
    fields
        .into_iter()
        .flat_map(|field| field_bytes(file, field))
        .collect()
}

/// The names that a derived type shows for its fields.
fn field_names<M: Message + std::fmt::Debug + Default>() -> Vec<String> {
    let shown = format!("{:#?}", M::default());
    shown
        .lines()
        .filter_map(|line| line.strip_prefix("    ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_once(':').map(|(name, _)| name.to_owned()))
        .collect()
}

fn check<M: Message + std::fmt::Debug + Default + PartialEq>(
    file: &prost_types::FileDescriptorProto,
    name: &str,
    checked: &mut Vec<String>,
) {
    let message = file
        .message_type
        .iter()
        .find(|message| message.name() == name)
        .expect(name);
    let mut names: Vec<_> = message
        .field
        .iter()
        .map(|field| field.name().to_owned())
        .collect();
    let mut ours = field_names::<M>();
    names.sort();
    ours.sort();
    assert_eq!(ours, names, "{name}");
    let bytes = message_bytes(file, name);
    let decoded = M::decode(&bytes[..]).unwrap_or_else(|error| panic!("{name}: {error}"));
    // A field of another number is lost, one of another type is refused or comes back in other bytes.
    assert_eq!(decoded.encode_to_vec(), bytes, "{name}: {decoded:?}");
    for field in &message.field {
        let alone = M::decode(&field_bytes(file, field)[..]).expect("it was in the whole");
        let shown = format!("{alone:?}");
        let default = format!("{:?}", M::default());
        assert_ne!(shown, default, "{name}.{}", field.name());
        let marker = format!("{}: ", field.name());
        let of = |text: &str| {
            text.split_once(&marker)
                .map(|(_, rest)| rest.chars().take(8).collect::<String>())
        };
        assert_ne!(
            of(&shown),
            of(&default),
            "{name}.{} has another number",
            field.name()
        );
    }
    checked.push(name.to_owned());
}

#[test]
fn records_are_what_the_proto_file_states() {
    let file = file();
    let mut checked = Vec::new();
    check::<MovementLine>(&file, "MovementLine", &mut checked);
    check::<Movement>(&file, "Movement", &mut checked);
    check::<Cell>(&file, "Cell", &mut checked);
    check::<NumberRange>(&file, "NumberRange", &mut checked);
    check::<BusinessDayBand>(&file, "BusinessDayBand", &mut checked);
    check::<RecentContent>(&file, "RecentContent", &mut checked);
    check::<Window>(&file, "Window", &mut checked);
    check::<Completeness>(&file, "Completeness", &mut checked);
    check::<Barrier>(&file, "Barrier", &mut checked);
    check::<Intent>(&file, "Intent", &mut checked);
    check::<Head>(&file, "Head", &mut checked);
    check::<ImagePart>(&file, "ImagePart", &mut checked);
    check::<ImageCell>(&file, "ImageCell", &mut checked);
    check::<ImageSource>(&file, "ImageSource", &mut checked);
    check::<Seal>(&file, "Seal", &mut checked);
    check::<Partial>(&file, "Partial", &mut checked);
    check::<PartialEnd>(&file, "PartialEnd", &mut checked);
    check::<ItemTotal>(&file, "ItemTotal", &mut checked);
    check::<PartialPosition>(&file, "PartialPosition", &mut checked);
    check::<Article>(&file, "Article", &mut checked);
    check::<SourceMark>(&file, "SourceMark", &mut checked);
    check::<ExpectedSource>(&file, "ExpectedSource", &mut checked);
    check::<Rejected>(&file, "Rejected", &mut checked);
    check::<Place>(&file, "Place", &mut checked);
    check::<RejectedUpTo>(&file, "RejectedUpTo", &mut checked);
    check::<SourceState>(&file, "SourceState", &mut checked);
    check::<ImagePlace>(&file, "ImagePlace", &mut checked);
    check::<Resolved>(&file, "Resolved", &mut checked);
    check::<Pack>(&file, "Pack", &mut checked);
    check::<Replayed>(&file, "Replayed", &mut checked);
    check::<Paper>(&file, "Paper", &mut checked);
    check::<PaperLine>(&file, "PaperLine", &mut checked);
    check::<Discrepancy>(&file, "Discrepancy", &mut checked);
    check::<DiscrepancyLine>(&file, "DiscrepancyLine", &mut checked);
    check::<Seen>(&file, "Seen", &mut checked);
    let mut all: Vec<_> = file
        .message_type
        .iter()
        .map(|message| message.name().to_owned())
        .collect();
    all.sort();
    checked.sort();
    assert_eq!(checked, all, "a message of the file is not compared");
}

#[test]
fn enumerations_are_what_the_proto_file_states() {
    let file = file();
    let values = |name: &str| -> Vec<(String, i32)> {
        let found = file
            .enum_type
            .iter()
            .find(|item| item.name() == name)
            .expect(name);
        found
            .value
            .iter()
            .map(|value| (value.name().to_owned(), value.number()))
            .collect()
    };
    for (name, number) in values("SourceKind") {
        let kind = SourceKind::try_from(number).expect("known");
        assert_eq!(upper_snake(&format!("{kind:?}"), "SOURCE_KIND_"), name);
    }
    for (name, number) in values("MovementKind") {
        let kind = MovementKind::try_from(number).expect("known");
        assert_eq!(upper_snake(&format!("{kind:?}"), "MOVEMENT_KIND_"), name);
    }
    for (name, number) in values("PaperKind") {
        let kind = PaperKind::try_from(number).expect("known");
        assert_eq!(upper_snake(&format!("{kind:?}"), "PAPER_KIND_"), name);
    }
    assert_eq!(values("SourceKind").len(), 4);
    assert_eq!(values("PaperKind").len(), 4);
    assert_eq!(values("MovementKind").len(), MovementKind::ALL.len() + 1);
}

/// `CountedBackRoom` → `COUNTED_BACK_ROOM`; the prefix stands before the value 0 alone.
fn upper_snake(name: &str, prefix: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    if out == "UNSPECIFIED" {
        format!("{prefix}{out}")
    } else {
        out
    }
}
