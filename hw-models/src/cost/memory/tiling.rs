//! The tiles of a product in one level of memory, by exact search for the least traffic with the level outside.
//!
//! One operand, or the sums, stays for a whole tile; the other two pass by in the smallest pieces, double-buffered. For
//! each of the three orders the traffic depends on two tile sides alone, and for a given one the other is as large as the
//! room allows; so all sides that give different numbers of passes are tried, and nothing better exists within the three
//! orders. Of a dimension beyond 2^20, sides between 2^10 and its 2^-10 are tried at powers of two only.
//!
//! Each level is tiled for itself: its traffic is the least that its own room allows, whatever the other levels do. So more
//! room never gives more traffic, and a wider format never less.

use super::{Demand, Moves, Room};
use serde::Serialize;

/// What stays while the other operands pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Sums.
    OutputsStay,
    /// Activations.
    ActivationsStay,
    /// Weights.
    WeightsStay,
}

/// How a product is cut for one level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tiling {
    /// What stays.
    pub order: Order,
    /// Tile `[m, k, n]`.
    pub tile: [u64; 3],
    /// Pieces in which operands arrive.
    pub pieces: u64,
    /// Bits that the level holds at most.
    pub peak_bits: u64,
    /// What moves to and from the level outside.
    pub moves: Moves,
}

/// The tiling of least traffic; `None` where not even the smallest tile fits, or a count exceeds 64 bits.
pub fn tiled(demand: &Demand, room: Room) -> Option<Tiling> {
    let orders = [Order::OutputsStay, Order::WeightsStay, Order::ActivationsStay];
    orders.into_iter().filter_map(|order| best(order, demand, room)).min_by_key(|tiling| tiling.moves.total())
}

/// The best tiling of one order.
fn best(order: Order, demand: &Demand, room: Room) -> Option<Tiling> {
    let free = if order == Order::WeightsStay { demand.n } else { demand.m };
    let tilings = sides(free).filter_map(|side| tile(order, demand, room, side));
    let (_, tile) = tilings.filter_map(|(tile, [a, b, s])| Some((demand.moves(a, b, s)?.total(), tile))).min()?;
    finished(order, demand, tile)
}

/// Sides of tiles of a dimension: all that give different numbers of tiles. A side above the square root gives fewer
/// tiles than the root, and the least side that gives so many is enough.
fn sides(dimension: u64) -> impl Iterator<Item = u64> {
    const MOST: u64 = 1 << 10;
    let root = (dimension.isqrt() + 1).min(MOST).min(dimension);
    let few = (1..=root).map(move |tiles| dimension.div_ceil(tiles));
    let between = (10..48).map(|bits| 1 << bits).take_while(move |side| *side < dimension && root == MOST);
    few.chain(1..=root).chain(between)
}

/// For one side of the tile that stays, the tile whose other side is as large as fits, and its passes.
fn tile(order: Order, demand: &Demand, room: Room, side: u64) -> Option<([u64; 3], [u64; 3])> {
    let g = demand.granule;
    let (a, b, s) = (demand.activation_row(g), demand.weight_column(g), demand.sum_bits());
    let grains = demand.k.div_ceil(g);
    // What stays takes `both` bits for each unit of both sides; the other two take so many for each unit of this side,
    // and so many for each of the other.
    let (needs, most) = match order {
        Order::OutputsStay => ([[2 * a, 0, 0], [0, 2 * b, 0], [0, 0, s]], demand.n),
        Order::WeightsStay => ([[0, 0, 2 * s], [2 * a, 0, 0], [0, b, 0]], grains),
        Order::ActivationsStay => ([[0, 0, 2 * s], [0, 2 * b, 0], [a, 0, 0]], grains),
    };
    let other = largest(needs, room, side)?.min(most);
    if other == 0 {
        return None;
    }
    let depth = other.saturating_mul(g).min(demand.k);
    let (m, k, n) = (demand.m, demand.k, demand.n);
    Some(match order {
        Order::OutputsStay => ([side, g, other], [n.div_ceil(other), m.div_ceil(side), 1]),
        Order::WeightsStay => ([1, depth, side], [n.div_ceil(side), 1, k.div_ceil(depth)]),
        Order::ActivationsStay => ([side, depth, 1], [1, m.div_ceil(side), k.div_ceil(depth)]),
    })
}

/// The largest other side for which `this * side + (other + both * side) * size` fits, for activations, weights and sums.
fn largest([this, other, both]: [[u64; 3]; 3], room: Room, side: u64) -> Option<u64> {
    let fit = |fixed: u64, slope: u64, room: u64| {
        let rest = room.checked_sub(fixed)?;
        Some(rest.checked_div(slope).unwrap_or(u64::MAX))
    };
    let fixed = |at: usize| this[at].checked_mul(side);
    let slope = |at: usize| both[at].checked_mul(side)?.checked_add(other[at]);
    match room {
        Room::Split(rooms) => {
            (0..3).try_fold(u64::MAX, |least, at| Some(least.min(fit(fixed(at)?, slope(at)?, rooms[at])?)))
        }
        Room::Unified(room) => {
            let sum = |of: &dyn Fn(usize) -> Option<u64>| (0..3).try_fold(0u64, |sum, at| sum.checked_add(of(at)?));
            fit(sum(&fixed)?, sum(&slope)?, room)
        }
    }
}

/// The tiling of a tile.
fn finished(order: Order, demand: &Demand, tile: [u64; 3]) -> Option<Tiling> {
    let [m, k, n] = tile;
    let g = demand.granule;
    let (tiles_m, tiles_k, tiles_n) = (demand.m.div_ceil(m), demand.k.div_ceil(k), demand.n.div_ceil(n));
    let [activations, weights, sums] = match order {
        Order::OutputsStay => [tiles_n, tiles_m, 1],
        Order::WeightsStay => [tiles_n, 1, tiles_k],
        Order::ActivationsStay => [1, tiles_m, tiles_k],
    };
    let bits = |per: u64, count: u64| per.saturating_mul(count);
    let (a, b, s) = (demand.activation_row(g), demand.weight_column(g), demand.sum_bits());
    let grains = k.div_ceil(g);
    let held = match order {
        Order::OutputsStay => [bits(2 * a, m), bits(2 * b, n), bits(s, m.saturating_mul(n))],
        Order::WeightsStay => [bits(2 * a, grains), bits(b, grains.saturating_mul(n)), bits(2 * s, n)],
        Order::ActivationsStay => [bits(a, grains.saturating_mul(m)), bits(2 * b, grains), bits(2 * s, m)],
    };
    Some(Tiling {
        order,
        tile,
        pieces: tiles_m.saturating_mul(tiles_k).saturating_mul(tiles_n),
        peak_bits: held.into_iter().fold(0, u64::saturating_add),
        moves: demand.moves(activations, weights, sums)?,
    })
}
