//! What this process uses, from `/proc`; zeros where there is none.

use std::fs;
use std::time::Instant;

use crate::snapshot::ResourcesView;

/// Clock ticks a second of `/proc/self/stat`: 100 on every Linux that Rust targets.
const TICKS_PER_SECOND: f64 = 100.0;

pub struct Meter {
    rss_mib_max: u64,
    last: Instant,
    last_cpu: f64,
    cores_used: f64,
    cores: u32,
    start_cpu: f64,
}

impl Meter {
    pub fn start() -> Self {
        let cpu = cpu_seconds().unwrap_or_default();
        Self {
            rss_mib_max: 0,
            last: Instant::now(),
            last_cpu: cpu,
            cores_used: 0.0,
            cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            start_cpu: cpu,
        }
    }

    /// Call about once a second: the cores in use are those since the last call.
    pub fn measure(&mut self, broker_bytes: u64) -> ResourcesView {
        let rss_mib = rss_mib().unwrap_or_default();
        self.rss_mib_max = self.rss_mib_max.max(rss_mib).max(peak_mib().unwrap_or_default());
        let cpu = cpu_seconds().unwrap_or_default();
        let elapsed = self.last.elapsed().as_secs_f64();
        if elapsed > 0.2 {
            self.cores_used = (cpu - self.last_cpu) / elapsed;
            self.last_cpu = cpu;
            self.last = Instant::now();
        }
        ResourcesView {
            rss_mib,
            rss_mib_max: self.rss_mib_max,
            cores_used: self.cores_used,
            cpu_seconds: cpu - self.start_cpu,
            cores: self.cores,
            broker_mib: broker_bytes >> 20,
        }
    }
}

/// User and system time of the whole process.
pub fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The command name may hold blanks: fields are counted behind its closing parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks as f64 / TICKS_PER_SECOND)
}

fn rss_mib() -> Option<u64> {
    status_kib("VmRSS:").map(|kib| kib >> 10)
}

fn peak_mib() -> Option<u64> {
    status_kib("VmHWM:").map(|kib| kib >> 10)
}

fn status_kib(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// CPU seconds by thread name, largest first: where the time went.
pub fn cpu_by_thread() -> Vec<(String, f64)> {
    let mut by_name = std::collections::BTreeMap::<String, f64>::new();
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    for task in tasks.flatten() {
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        let Some((head, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let name = head.split_once('(').map_or("?", |(_, name)| name);
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .and_then(|f| f.parse::<u64>().ok())
                .unwrap_or_default()
        };
        *by_name.entry(name.to_owned()).or_default() += (ticks(11) + ticks(12)) as f64 / TICKS_PER_SECOND;
    }
    let mut list: Vec<_> = by_name.into_iter().collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1));
    list
}
