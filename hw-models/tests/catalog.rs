//! Every record of the catalogue against what others recorded or computed: bit for bit, no tolerance.

use crate::support::case;
use interplay_hw::Datapath;
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![case("catalog::records", records)]
}

/// Every record can exist, names are unique and in lower case, and one output of each can be computed.
fn records() {
    let mut names: Vec<&str> = Datapath::all().iter().map(|datapath| datapath.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "two records have one name");
    for datapath in Datapath::all() {
        datapath.check().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(datapath.name, datapath.name.to_lowercase());
        assert_eq!(Datapath::by_name(datapath.name).unwrap(), *datapath);
    }
}
