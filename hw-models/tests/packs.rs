//! Our own results, committed, so that a change of bits on any machine shows without other files: adversarial rows for
//! every group of records that share their numerics, replayed on every member.
//!
//! `INTERPLAY_UPDATE=1 cargo test -p interplay-hw packs` writes them anew; do so only after the oracle tests have passed.

use crate::reference::unit::Unit;
use crate::rows::{self, Class, Codes};
use crate::support::{Random, case, committed};
use interplay_hw::Datapath;
use libtest_mimic::Trial;
use std::fmt::Write;

const FILE: &str = "tests/packs/conformance.txt";
/// The classes that a group has a row of, where its turn comes: all of them over the groups of a unit.
const CLASSES: [Class; 8] = [
    Class::Cancelling,
    Class::Spread,
    Class::Specials,
    Class::Edge,
    Class::Near,
    Class::Ties,
    Class::Tiny,
    Class::Huge,
];
/// Rows of a group.
const ROWS: usize = 3;

pub fn trials() -> Vec<Trial> {
    vec![case("packs::conformance", || committed(FILE, &pack())), case("packs::replay", replay)]
}

/// Records that differ in name and provenance only.
fn groups() -> Vec<Vec<&'static Datapath>> {
    let alike = |a: &Datapath, b: &Datapath| {
        let nameless = Datapath { name: b.name, about: b.about, source: b.source, proof: b.proof, ..*a };
        nameless == *b
    };
    let mut groups: Vec<Vec<&'static Datapath>> = Vec::new();
    for record in Datapath::all().iter().filter(|record| Unit::of(record.name).is_some()) {
        match groups.iter_mut().find(|group| alike(group[0], record)) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups
}

/// Codes of one width without blanks, as many hexadecimal digits each as the widest needs.
fn digits(codes: &[u64]) -> String {
    if codes.is_empty() {
        return "-".to_owned();
    }
    let width = codes.iter().map(|code| (64 - code.leading_zeros()).div_ceil(4).max(1) as usize).max().unwrap_or(1);
    codes.iter().fold(format!("{width}:"), |mut line, code| {
        write!(line, "{code:0width$x}").expect("a string takes all");
        line
    })
}

/// The reverse of [`digits`].
fn codes(text: &str) -> Vec<u64> {
    let Some((width, digits)) = text.split_once(':') else { return Vec::new() };
    let width: usize = width.parse().expect("a width");
    let digits: Vec<char> = digits.chars().collect();
    let code =
        |part: &[char]| part.iter().fold(0, |code, digit| code << 4 | u64::from(digit.to_digit(16).expect("hex")));
    digits.chunks(width).map(code).collect()
}

/// The file: of each group a line of its members, then rows `depth a b c scale_a scale_b metadata d`.
fn pack() -> String {
    let mut text = String::new();
    for (number, group) in groups().into_iter().enumerate() {
        let record = group[0];
        let unit = Unit::of(record.name).expect("a unit that takes codes");
        let mut random = Random(0xC0DE + number as u64);
        let names: Vec<&str> = group.iter().map(|record| record.name).collect();
        writeln!(text, "{}", names.join(" ")).expect("a string takes all");
        let depth = record.depths.iter().copied().find(|depth| *depth > unit.step).or(record.depths.last().copied());
        let depth = depth.unwrap_or(8);
        for row in 0..ROWS {
            let own = rows::row(&unit, CLASSES[(number * 3 + row) % CLASSES.len()], depth, &mut random);
            let d = record.dot(own.row(), Some(depth)).expect("a row of the right lengths");
            let Codes { a, b, c, scale_a, scale_b, metadata } = &own;
            let [a, b, scale_a, scale_b, metadata] = [a, b, scale_a, scale_b, metadata].map(|codes| digits(codes));
            writeln!(text, " {depth} {a} {b} {c:x} {scale_a} {scale_b} {metadata} {d:x}").expect("a string takes all");
        }
    }
    text
}

/// Every row on every member of its group, read back from the file.
fn replay() {
    let text = include_str!("packs/conformance.txt");
    let (mut members, mut rows, mut seen) = (Vec::new(), 0, 0);
    for line in text.lines() {
        let Some(row) = line.strip_prefix(' ') else {
            members = line.split(' ').map(|name| Datapath::by_name(name).unwrap_or_else(|e| panic!("{e}"))).collect();
            seen += members.len();
            continue;
        };
        let [depth, a, b, c, scale_a, scale_b, metadata, d] = row.split(' ').collect::<Vec<_>>()[..] else {
            panic!("`{row}` has not eight fields");
        };
        let hex = |text: &str| u64::from_str_radix(text, 16).expect("a hexadecimal number");
        let [a, b, scale_a, scale_b, metadata] = [a, b, scale_a, scale_b, metadata].map(codes);
        let own = Codes { a, b, c: hex(c), scale_a, scale_b, metadata };
        let depth = depth.parse().expect("a depth");
        for member in &members {
            let got = member.dot(own.row(), Some(depth)).unwrap_or_else(|error| panic!("{}: {error}", member.name));
            assert_eq!(got, hex(d), "{}: {got:#x}, not {d}, of {own:x?}", member.name);
            rows += 1;
        }
    }
    let all = Datapath::all().iter().filter(|record| Unit::of(record.name).is_some()).count();
    assert_eq!(
        (seen, rows),
        (all, all * ROWS),
        "every record has its rows: write the pack anew after the oracles passed"
    );
}
