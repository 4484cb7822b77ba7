//! A median with an interval, by drawing from the measurements again.

const RESAMPLES: usize = 10_000;

/// Median, and the 95 % interval of it.
pub fn median_of(values: &[f64]) -> (f64, f64, f64) {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<f64> = values.iter().map(|_| values[draw(values.len())]).collect();
            median(drawn)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |part: f64| medians[(part * (RESAMPLES - 1) as f64) as usize];
    (median(values.to_vec()), at(0.025), at(0.975))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
