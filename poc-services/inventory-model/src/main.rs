use inventory_model::explore::explore;
use inventory_model::memory::{FOUR, REPEAT_FIRST, REPEAT_LAST};
use inventory_model::plant::Plant;
use inventory_model::protocol::{Nets, Protocol};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n: usize = args[1].parse().unwrap();
    let input = [REPEAT_LAST, REPEAT_FIRST, FOUR][args[2].parse::<usize>().unwrap()];
    let nets = if args[3] == "nod" {
        Nets::NO_DIGESTS
    } else {
        Nets::ALL
    };
    let plants: Vec<Option<Plant>> = if args[4] == "clean" {
        vec![None]
    } else {
        Plant::ALL.iter().copied().map(Some).collect()
    };
    for p in plants {
        let t = std::time::Instant::now();
        let mut m = Protocol::new(input, n, p).with_nets(nets);
        if p == Some(Plant::NoPurgeOnRevoke) {
            m = m.calm().with_nets(Nets::NONE);
        }
        if let Ok(z) = std::env::var("Z") {
            m = m.with_zombie_records(z.parse().unwrap());
        }
        let e = explore(&m, 2);
        println!(
            "{p:?}: {} states depth {} finals {} in {:?}",
            e.states,
            e.depth,
            e.final_states,
            t.elapsed()
        );
        if let Some(c) = e.counterexample {
            println!("  {} after {}", c.violation, c.trace.len());
            if args.len() > 5 {
                for s in c.trace {
                    println!("    {s}");
                }
            }
        }
    }
}
