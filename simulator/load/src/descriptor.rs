//! A message descriptor as AMQP carries it: what AMQP has a property for in that, the rest under the names that IBM's
//! clients use.

use backbone::amqp::{MessageProperties, PropertyValue};
use contracts::wire::ebcdic::Ccsid;
use contracts::wire::mqmd::{Descriptor, ID_BYTES};

/// z/OS: integers big-endian, packed decimals as usual, floats of S/390.
const ENCODING: i32 = 785;
const PUT_BYTES: usize = 8;

pub fn properties_of(descriptor: &Descriptor) -> MessageProperties {
    let ccsid = Ccsid::from_number(descriptor.ccsid).unwrap_or_default();
    let number = |value: u32| PropertyValue::Number(i32::try_from(value).unwrap_or(i32::MAX));
    let text = |value: &str| PropertyValue::Text(value.to_owned());
    let mut application = vec![
        ("JMS_IBM_Character_Set", text(&descriptor.ccsid.to_string())),
        ("JMS_IBM_Encoding", PropertyValue::Number(ENCODING)),
        ("JMS_IBM_Format", text(descriptor.format.name())),
        ("JMS_IBM_PutApplType", number(descriptor.put_application_type)),
        ("JMSXAppID", text(&descriptor.put_application)),
    ];
    if let Some(put) = descriptor.put_text() {
        application.push(("JMS_IBM_PutDate", text(&put[..PUT_BYTES])));
        application.push(("JMS_IBM_PutTime", text(&put[PUT_BYTES..])));
    }
    let grouped = descriptor.group_id != [0; ID_BYTES];
    if grouped {
        let last = PropertyValue::Flag(descriptor.is_last_in_group());
        application.push(("JMS_IBM_Last_Msg_In_Group", last));
    }
    MessageProperties {
        message_id: descriptor.message_id.to_vec(),
        correlation_id: descriptor.correlation_id.to_vec(),
        user: descriptor.user.clone(),
        group: grouped.then(|| {
            let group = ccsid.decode(&descriptor.group_id);
            (group.trim_end().to_owned(), descriptor.sequence)
        }),
        priority: u8::try_from(descriptor.priority).ok(),
        application,
    }
}
