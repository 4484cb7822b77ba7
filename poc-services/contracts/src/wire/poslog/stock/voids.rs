//! Which lines of a receipt are taken back by later ones, and by how much.
//!
//! A line takes another back by its number (`Voids`), wholly or in part; or, as some tills write it, by repeating the
//! entry with `VoidFlag` and a negative quantity. A line with `VoidFlag` alone was itself taken back.

use super::super::{
    error::StockFault,
    retail::{Item, Line, LineKind, Measured, Voids},
};
use super::{Located, in_base_unit};

/// For each line what is taken back of it, in thousandths of its base unit; empty if nothing is.
pub(super) fn taken(lines: &[Line<'_>]) -> Result<Vec<i64>, Located> {
    let takes_back = |line: &&Line<'_>| !line.cancelled && (line.voids.is_some() || is_reversal(line));
    if !lines.iter().any(|line| takes_back(&line)) {
        return Ok(Vec::new());
    }
    let mut taken = vec![0; lines.len()];
    let mut by_number: Vec<(u32, usize)> = lines
        .iter()
        .enumerate()
        .filter_map(|(index, line)| line.number.map(|number| (number, index)))
        .collect();
    by_number.sort_unstable();
    for (index, line) in lines.iter().enumerate() {
        if !takes_back(&line) {
            continue;
        }
        let taking = match &line.voids {
            Some(voids) => named(lines, &by_number, index, voids, &taken),
            None => repeated(lines, index, &taken).map(Some),
        };
        if let Some((target, amount)) = taking.map_err(|fault| (Some(index + 1), fault))? {
            taken[target] += amount;
        }
    }
    Ok(taken)
}

fn item<'l, 'a>(line: &'l Line<'a>) -> Option<&'l Item<'a>> {
    match &line.kind {
        LineKind::Sale(item) | LineKind::Return(item) => Some(item),
        _ => None,
    }
}

/// The amount of an item's line, never negative.
fn amount(item: &Item<'_>) -> Result<i64, StockFault> {
    let measured = item.quantity.as_ref().ok_or(StockFault::Quantity {
        what: "an item without Quantity",
    })?;
    in_base_unit(measured).map(|(quantity, _)| quantity.0.abs())
}

fn is_reversal(line: &Line<'_>) -> bool {
    line.void
        && line.voids.is_none()
        && item(line)
            .and_then(|item| item.quantity.as_ref())
            .is_some_and(|measured| measured.quantity.0 < 0)
}

/// The line that is named, and how much of it; `None` if nothing is left to take back of it.
fn named(
    lines: &[Line<'_>],
    by_number: &[(u32, usize)],
    index: usize,
    voids: &Voids<'_>,
    taken: &[i64],
) -> Result<Option<(usize, i64)>, StockFault> {
    let fault = |what| StockFault::Void {
        voided: voids.line,
        what,
    };
    let first = by_number.partition_point(|(number, _)| *number < voids.line);
    let mut targets = by_number[first..]
        .iter()
        .take_while(|(number, _)| *number == voids.line)
        .map(|(_, target)| *target)
        .filter(|target| *target != index);
    let target = targets.next().ok_or_else(|| fault("there is no such line"))?;
    if targets.next().is_some() {
        return Err(fault("several lines have that number"));
    }
    let line = &lines[target];
    if line.voids.is_some() || is_reversal(line) {
        return Err(fault("that line takes back another"));
    }
    let Some(sold) = item(line) else {
        return Ok(None);
    };
    let body = item(&lines[index]);
    if body.is_some_and(|body| body.id != sold.id) {
        return Err(fault("that line is of another item"));
    }
    if line.void || line.cancelled {
        return Ok(None);
    }
    let whole = amount(sold)?;
    let of_body = match body {
        Some(body) if body.quantity.is_some() => Some(amount(body)?),
        _ => None,
    };
    let of_void = match &voids.quantity {
        Some(measured) => {
            let unit = sold.quantity.as_ref().and_then(|sold| sold.unit.as_ref());
            if measured.unit.is_some() && measured.unit.as_ref() != unit {
                return Err(fault("in another unit"));
            }
            let measured = Measured {
                unit: unit.cloned(),
                ..measured.clone()
            };
            Some(in_base_unit(&measured)?.0.0.abs())
        }
        None => None,
    };
    let wanted = match (of_void, of_body) {
        (Some(void), Some(body)) if void != body => {
            return Err(fault("with two quantities that differ"));
        }
        (void, body) => void.or(body).unwrap_or(whole),
    };
    if wanted > whole - taken[target] {
        return Err(fault("more than is left of that line"));
    }
    Ok(Some((target, wanted)))
}

/// The latest entry of the same item and quantity in front of it.
fn repeated(lines: &[Line<'_>], index: usize, taken: &[i64]) -> Result<(usize, i64), StockFault> {
    let reversal = item(&lines[index]).ok_or(StockFault::Reversal)?;
    let wanted = amount(reversal)?;
    for (target, line) in lines[..index].iter().enumerate().rev() {
        if line.void || line.cancelled || line.voids.is_some() || taken[target] != 0 {
            continue;
        }
        if let Some(sold) = item(line)
            && std::mem::discriminant(&line.kind) == std::mem::discriminant(&lines[index].kind)
            && sold.id == reversal.id
            && sold
                .quantity
                .as_ref()
                .is_some_and(|measured| measured.quantity.0 > 0)
            && amount(sold)? == wanted
        {
            return Ok((target, wanted));
        }
    }
    Err(StockFault::Reversal)
}
