//! Frames that make no sense: the broker stays up, other connections go on, memory stays bounded.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "support/mod.rs"]
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use embedded::broker::BrokerOptions;
use kafka_protocol::messages as m;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use support::members::{COMMIT, HEARTBEAT, JOIN, RawMember, SYNC};
use support::raw::frame;
use support::records::{NOBODY, NOW, batch, fetch_request, produce, produce_request, read_all};
use support::target::{Coordinates, Target, text};

const FRAMES: u64 = 100_000;
const SEED: u64 = 7;

/// Requests that the broker serves, as they should be.
fn sound_frames(target: &Target, topic: &str) -> Vec<BytesMut> {
    let mut member = RawMember::new(target, "nonsense");
    member.id = text("nobody");
    let mut frames = vec![
        frame(
            9,
            1,
            &produce_request(topic, 0, 1, &batch(&["a", "b", "c"], NOBODY)),
        ),
        frame(3, 1, &produce_request(topic, 0, 1, &batch(&["a"], NOBODY))),
        frame(12, 1, &fetch_request(topic, &[(0, 0), (1, 0)], NOW)),
        frame(4, 1, &fetch_request(topic, &[(0, 0)], NOW)),
        frame(JOIN, 1, &member.join_request()),
        frame(SYNC, 1, &member.sync_request(&[(text("nobody"), b"assignment")])),
        frame(COMMIT, 1, &member.commit_request(topic, 0, 5)),
        frame(2, 1, &member.commit_request(topic, 0, 5)),
        frame(1, 1, &m::MetadataRequest::default().with_topics(None)),
        frame(12, 1, &m::MetadataRequest::default().with_topics(None)),
        frame(0, 1, &m::ApiVersionsRequest::default()),
        frame(3, 1, &m::ApiVersionsRequest::default()),
        frame(HEARTBEAT, 1, &m::HeartbeatRequest::default()),
        frame(
            4,
            1,
            &m::FindCoordinatorRequest::default().with_coordinator_keys(vec![text("x"); 3]),
        ),
        frame(
            4,
            1,
            &m::DescribeGroupsRequest::default().with_groups(vec![m::GroupId(text("x")); 3]),
        ),
        frame(4, 1, &m::InitProducerIdRequest::default()),
    ];
    let mut raw = |api: i16, version: i16, body: &[u8]| {
        let mut out = BytesMut::new();
        out.put_i32(10 + body.len() as i32);
        out.put_i16(api);
        out.put_i16(version);
        out.put_i32(1);
        out.put_i16(0);
        out.put_slice(body);
        frames.push(out);
    };
    // Every request there is, in its oldest and a newer form, with a body of zeros.
    for api in 0..70 {
        for version in [0, 2, 4] {
            raw(api, version, &[0; 40]);
        }
    }
    frames
}

fn number(random: &mut ChaCha8Rng, below: usize) -> usize {
    (random.next_u64() % below.max(1) as u64) as usize
}

/// One frame: noise, a cut one, one with flipped bits, or one that lies about a length.
fn nonsense(random: &mut ChaCha8Rng, sound: &[BytesMut]) -> BytesMut {
    let mut bytes = sound[number(random, sound.len())].clone();
    match random.next_u32() % 5 {
        0 => {
            let mut noise = vec![0; number(random, 200)];
            random.fill_bytes(&mut noise);
            BytesMut::from(&noise[..])
        }
        1 => {
            let mut noise = vec![0; 8 + number(random, 200)];
            random.fill_bytes(&mut noise);
            // A frame whose length is right and whose api exists.
            let length = noise.len() as i32 - 4;
            noise[0..4].copy_from_slice(&length.to_be_bytes());
            noise[4..6].copy_from_slice(&(number(random, 70) as i16).to_be_bytes());
            noise[6..8].copy_from_slice(&(number(random, 14) as i16).to_be_bytes());
            BytesMut::from(&noise[..])
        }
        2 => {
            // Cut, with the length made right half of the time.
            bytes.truncate(number(random, bytes.len()).max(4));
            if random.next_u32().is_multiple_of(2) {
                let length = bytes.len() as i32 - 4;
                bytes[0..4].copy_from_slice(&length.to_be_bytes());
            }
            bytes
        }
        3 => {
            for _ in 0..=number(random, 4) {
                let at = 4 + number(random, bytes.len() - 4);
                bytes[at] ^= 1 << number(random, 8);
            }
            bytes
        }
        _ => {
            // Somewhere a length that would take gigabytes.
            let at = 4 + number(random, bytes.len() - 4);
            let lie = [0x7f, 0xff, 0xff, 0xf0];
            for (byte, lie) in bytes[at..].iter_mut().zip(lie) {
                *byte = lie;
            }
            bytes
        }
    }
}

/// Sends one frame and reads until the broker closes the connection or waits for something that never comes.
fn throw(address: &str, frame: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return;
    };
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    if stream.write_all(frame).is_err() {
        return;
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = [0; 4096];
    loop {
        match stream.read(&mut answer) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// Peak of the memory that this process ever held, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1))
        .map_or(0, |number| number.parse().unwrap())
}

#[test]
fn hundred_thousand_frames_of_nonsense_disturb_nobody() {
    let panics = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&panics);
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        counted.fetch_add(1, Ordering::Relaxed);
        previous(panic);
    }));
    let target = Target::embedded(BrokerOptions {
        memory_bytes: 64 << 20,
        ..BrokerOptions::default()
    });
    let topic = target.topic(2, &[]);
    let witness = target.topic(1, &[]);
    let mut bystander = target.leader(&witness, 0);
    let sound = sound_frames(&target, &topic);
    let addresses: Vec<String> = target
        .addresses()
        .into_iter()
        .map(|(_, address)| address)
        .collect();
    let before = peak_kib();
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for count in 0..FRAMES {
        let frame = nonsense(&mut random, &sound);
        throw(&addresses[count as usize % addresses.len()], &frame);
        if count % 1_000 == 0 {
            let answer = produce(&mut bystander, &witness, 0, &batch(&["still here"], NOBODY));
            assert_eq!((answer.error_code, answer.base_offset), (0, count as i64 / 1_000));
        }
    }
    assert_eq!(read_all(&mut bystander, &witness, 0).len() as u64, FRAMES / 1_000);
    assert_eq!(panics.load(Ordering::Relaxed), 0, "seed {SEED}");
    let grown = peak_kib().saturating_sub(before);
    assert!(grown < 256 << 10, "the process grew by {grown} KiB");
    let mut group = RawMember::new(&target, "sound");
    group.node = target.coordinator(Coordinates::Group, "sound");
    assert_eq!(group.join().generation_id, 1, "groups work as before");
}
