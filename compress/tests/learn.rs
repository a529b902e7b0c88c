//! Learned sparsity against recorded runs of the published code, its gradient against differences, and what it refuses.

mod block;
mod laws;
mod recorded;

use crate::support::oracle;
use block::Toy;
use libtest_mimic::Trial;
use recorded::Record;

pub fn trials() -> Vec<Trial> {
    let follow = |bytes: &[u8]| {
        let record = Record::new(bytes);
        record.follow(0, &mut Toy::new(&record));
    };
    let recorded = ["learn_besa_row_toy", "learn_pqp_row_toy"];
    recorded.into_iter().map(|file| oracle("oracle", file, |pack| follow(pack.raw()))).chain(laws::trials()).collect()
}
