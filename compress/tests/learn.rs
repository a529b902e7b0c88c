//! Learned sparsity against recorded runs of the published code, its gradient against differences, and what it refuses.

mod block;
mod laws;
mod recorded;

use crate::support::oracle;
use block::Toy;
use libtest_mimic::Trial;
use recorded::Record;

pub fn trials() -> Vec<Trial> {
    let recorded = ["learn_besa_row_toy", "learn_pqp_row_toy"].map(|file| {
        oracle("learn", file, |pack| {
            let record = Record::new(pack.raw());
            record.follow(0, &mut Toy::new(&record));
        })
    });
    recorded.into_iter().chain(laws::trials()).collect()
}
