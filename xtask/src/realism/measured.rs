//! What was measured of real grocers: Complete Journey (dunnhumby, 2017; 1,451,439 lines of 141,651 baskets). Aggregates only.

/// Share of baskets with so many lines or fewer.
pub const BASKET_SIZES: [(usize, f64); 10] = [
    (1, 0.142),
    (2, 0.268),
    (3, 0.365),
    (4, 0.441),
    (5, 0.502),
    (10, 0.694),
    (13, 0.75),
    (26, 0.90),
    (37, 0.95),
    (60, 0.99),
];
pub const LINES_A_BASKET: f64 = 10.25;
/// Share of lines of so many units.
pub const UNITS: [(i64, f64); 4] = [(1, 0.795), (2, 0.146), (3, 0.026), (4, 0.016)];
/// Per cent of baskets in each hour of the local day.
pub const HOURS: [f64; 24] = [
    0.80, 0.39, 0.49, 0.19, 0.14, 0.19, 0.64, 1.25, 1.94, 2.83, 4.27, 5.91, 6.64, 6.76, 7.07, 7.70, 9.00,
    10.10, 9.49, 8.06, 6.58, 4.89, 3.07, 1.60,
];
/// Per cent of baskets on each day, Monday first.
pub const WEEKDAYS: [(&str, f64); 7] = [
    ("Monday", 14.00),
    ("Tuesday", 13.36),
    ("Wednesday", 13.12),
    ("Thursday", 13.24),
    ("Friday", 13.63),
    ("Saturday", 15.96),
    ("Sunday", 16.68),
];
/// Share of SKUs, best sellers first, and per cent of lines that they make.
pub const LORENZ: [(f64, f64); 6] = [
    (0.001, 12.1),
    (0.01, 31.2),
    (0.05, 57.2),
    (0.10, 71.8),
    (0.20, 85.8),
    (0.50, 96.8),
];
/// Median over the best 2,000 SKUs of variance over mean of the units sold in a week.
pub const WEEKLY_DISPERSION: f64 = 3.0;
/// Lines a week of the sample that was measured: the dispersion of a SKU grows with how much of it is seen.
pub const LINES_A_WEEK: f64 = 1_451_439.0 / 52.0;
pub const BEST_SELLERS: usize = 2_000;
/// Bytes, as far as public samples and layouts tell.
pub const SIZES: [(&str, &str); 5] = [
    ("ibm-4690", "estimated from the layout: 400 to 600 for ten items"),
    ("poslog-6.0", "a lean sale of three lines: about 2,000"),
    (
        "poslog-2.2.1",
        "a public sample of 51 transactions: median 7,500, mean 22,000, most of it loyalty data",
    ),
    ("copybook-037", "80, and 364 where a descriptor stands in front"),
    ("epcis-2.0", "no public figure"),
];
