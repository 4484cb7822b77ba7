//! In which formats the sources wrote, how much of each, and how long its messages are.

use std::collections::BTreeMap;

use load::FormatAmount;

use crate::format::count;
use crate::report::FormatView;

type Offered = [(&'static str, FormatAmount)];

pub fn view(offered: &Offered) -> BTreeMap<String, FormatView> {
    let sum = |of: fn(&FormatAmount) -> u64| offered.iter().map(|(_, amount)| of(amount)).sum::<u64>();
    let per_cent = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    let (messages, transactions) = (sum(|amount| amount.messages), sum(|amount| amount.transactions));
    let view = |amount: &FormatAmount| FormatView {
        messages: amount.messages,
        transactions: amount.transactions,
        bytes: amount.bytes,
        bytes_a_message: amount.bytes as f64 / amount.messages.max(1) as f64,
        messages_percent: per_cent(amount.messages, messages),
        transactions_percent: per_cent(amount.transactions, transactions),
    };
    offered
        .iter()
        .map(|(format, amount)| ((*format).to_owned(), view(amount)))
        .collect()
}

/// A line for each format.
pub fn sentences(offered: &Offered) -> Vec<String> {
    let line = |(format, view): (String, FormatView)| {
        format!(
            "{format:<13} {:>5.1} % of transactions, {:>5.1} % of messages, {} bytes a message",
            view.transactions_percent,
            view.messages_percent,
            count(view.bytes_a_message.round() as u64),
        )
    };
    view(offered).into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_formats_and_bytes_of_a_mean_message() {
        let amount = |messages, transactions, bytes| FormatAmount {
            messages,
            transactions,
            bytes,
        };
        let offered = [
            ("ibm-4690", amount(75, 75, 37_500)),
            ("poslog-2.2.1", amount(25, 75, 150_000)),
        ];
        let view = view(&offered);
        let shown = |format: &str| (view[format].messages_percent, view[format].transactions_percent);
        assert_eq!(shown("ibm-4690"), (75.0, 50.0));
        assert_eq!(shown("poslog-2.2.1"), (25.0, 50.0));
        assert_eq!(
            sentences(&offered)[1],
            "poslog-2.2.1   50.0 % of transactions,  25.0 % of messages, 6,000 bytes a message"
        );
        assert_eq!(sentences(&[]), [""; 0]);
    }
}
