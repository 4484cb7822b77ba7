//! The keys of `world.queues`: what they mean, and what is said of what they cannot be.

use scenario::{CodePage, DescriptorPlace, QueueSpec};

fn parsed(queues: &str) -> Result<QueueSpec, String> {
    let yaml = format!("title: T\nload: {{speed: 1}}\nstop: {{duration: 30s}}\nworld:\n  queues: {queues}\n");
    scenario::parse("demo.yaml", &yaml)
        .map(|scenario| scenario.world.queues)
        .map_err(|error| error.to_string())
}

#[test]
fn a_mix_of_code_pages_and_the_descriptor_in_front_are_read() {
    let spec = parsed("{ccsids: [37, 500], descriptor: in-front, handover_every: 1h}").unwrap();
    assert_eq!(spec.ccsids, [CodePage(37), CodePage(500)]);
    assert_eq!(spec.descriptor, DescriptorPlace::InFront);
    assert_eq!(spec.handover_every.ms, 3_600_000);
    let left_out = parsed("{handover_every: 0s}").unwrap();
    assert_eq!(left_out.handover_every.ms, 0);
    assert_eq!(left_out.ccsids, QueueSpec::default().ccsids);
}

#[test]
fn what_cannot_be_is_shown_with_what_can() {
    for (queues, said) in [
        (
            "{ccsids: [37, 850]}",
            &["demo.yaml:5:", "`850`", "37, 500, 1047 or 1140"][..],
        ),
        ("{ccsids: []}", &["demo.yaml:5:", "no code page", "[37]"]),
        (
            "{handover_every: 1m}",
            &["demo.yaml:5:", "`handover_every` is 1m", "10m to 7d"],
        ),
        ("{handover_every: 8d}", &["10m to 7d"]),
        (
            "{descriptor: infront}",
            &["demo.yaml:5:", "did you mean `in-front`"],
        ),
        (
            "{ccsid: [37]}",
            &["demo.yaml:5:", "unknown key `ccsid`", "did you mean `ccsids`"],
        ),
    ] {
        let error = parsed(queues).unwrap_err();
        for part in said {
            assert!(error.contains(part), "{queues}: `{part}` is not in {error}");
        }
    }
}
