//! Recipes: what their text says, and what is refused before anything runs.

use crate::support::case;
use interplay_compress::formats::{Pattern, Scope, Selection};
use interplay_compress::recipe::{METHODS, Prune, Step};
use interplay_compress::{Criterion, Recipe};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("recipe::examples_are_recipes", examples_are_recipes),
        case("recipe::orders", orders),
        case("recipe::scopes_are_published_unless_said", scopes),
        case("recipe::arguments", arguments),
        case("recipe::files", files),
        case("recipe::what_is_refused", refusals),
    ]
}

fn recipe(text: &str) -> Recipe {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn pruning(text: &str) -> Prune {
    match recipe(text).steps.swap_remove(0) {
        Step::Prune(prune) => prune,
        other => panic!("{text} is {other:?}"),
    }
}

fn examples_are_recipes() {
    for method in METHODS {
        let steps = recipe(method.example).steps;
        assert_eq!(steps.len(), 1, "{}", method.example);
        let named = METHODS.iter().filter(|other| other.name == method.name).count();
        assert_eq!(named, 1, "{} stands twice", method.name);
    }
}

fn orders() {
    let order = |text: &str| recipe(text).order();
    let gradients = |text: &str| recipe(text).needs_gradients();
    assert!(gradients("besa(50%)") && gradients("pqp(50%), rtn(int8)") && !gradients("sparsegpt(2:4), gptq(mxfp4)"));
    assert_eq!(order("[wanda(2:4), gptq(mxfp4)]"), "sq");
    assert_eq!(order("gptq(mxfp4), wanda(2:4)"), "qs");
    assert_eq!(order("sparsegpt(2:4, mxfp4)"), "joint");
    assert_eq!(order("wanda(2:4)"), "none");
    assert_eq!(order("gptq(int4-asym), pqp(50%)"), "qs");
    let text = "[ SmoothQuant(0.5), wanda( 2:4 ) , rtn(INT8), activations(int8) ]";
    assert_eq!(recipe(text).to_string(), "[smoothquant(0.5), wanda(2:4), rtn(int8), activations(int8)]");
    assert_eq!((recipe(text).activations().name, recipe("rtn(int8)").activations().name), ("int8", "fp32"));
}

fn scopes() {
    let scope = |text: &str| match pruning(text).pattern {
        Pattern::Unstructured { basis_points: 5000, scope } => scope,
        other => panic!("{text}: {other}"),
    };
    assert_eq!(scope("magnitude(50%)"), Scope::Matrix);
    assert_eq!(scope("wanda(50%)"), Scope::Row);
    assert_eq!(scope("wanda(50%-matrix)"), Scope::Matrix);
    assert_eq!(scope("ria(50%-row)"), Scope::Row);
    assert_eq!(scope("magnitude(50%-cols64)"), Scope::Columns(64));
    // SparseGPT chooses where it solves.
    for (text, width) in [("sparsegpt(50%)", 128), ("sparsegpt(50%,block=64)", 64), ("sparsegpt(50%-cols32)", 32)] {
        assert_eq!(scope(text), Scope::Columns(width), "{text}");
        assert_eq!(pruning(text).update.map(|solver| solver.block), Some(width), "{text}");
    }
}

fn arguments() {
    let prune = pruning("ria(2:4, power=1, selection=threshold)");
    assert_eq!(prune.selection, Selection::Threshold);
    let ria = interplay_compress::recipe::Scores::Once(Criterion::Ria { power: 1.0, activations: true });
    assert_eq!(prune.scores, ria);
    assert_eq!(pruning("ria(2:4, power=0)").scores, {
        interplay_compress::recipe::Scores::Once(Criterion::Ria { power: 0.0, activations: false })
    });
    assert_eq!(pruning("sparsegpt(format=mxfp4, pattern=2:4)").joint.map(|format| format.name), Some("mxfp4"));
}

fn files() {
    let given = Recipe::from_toml("pipeline = [\"wanda(2:4)\", \"gptq(mxfp4)\"]").expect("a recipe");
    assert_eq!(given, recipe("wanda(2:4),gptq(mxfp4)"));
    for wrong in ["", "pipeline = []", "pipeline = [1]", "steps = [\"rtn(int4)\"]", "pipeline = [\"rtn(int4)\"]\nx = 1"]
    {
        assert!(Recipe::from_toml(wrong).is_err(), "{wrong}");
    }
}

/// A recipe, and what the message must hold.
const REFUSED: [(&str, &str); 27] = [
    ("", "there is no step"),
    ("wnada(2:4)", "did you mean `wanda`"),
    ("wanda", "needs a sparsity pattern, as in `wanda(2:4)`"),
    ("gptq", "needs a format"),
    ("gptq(mxpf4)", "mxfp4"),
    ("wanda(4:2)", "4:2"),
    ("wanda(2:4", "does not close"),
    ("wanda(2:4))", "does not open"),
    ("[wanda(2:4)", "one bracket"),
    ("wanda(2:4,3)", "does not take `3`"),
    ("wanda(2:4,powr=1)", "wanda takes pattern"),
    ("wanda(selection=count,2:4)", "behind one with a name"),
    ("ria(2:4,power=nan)", "a number from 0 to 4"),
    ("ria(2:4,permute=yes)", "serpentine"),
    ("ria(2:4,parts=2)", "without permute=assignment"),
    ("wanda(50%,damping=0.1)", "without update=yes"),
    ("bawa-search(50%,update=yes)", "does not take `update`"),
    ("wanda-cumulative(2:4)", "fractions"),
    ("wanda(2:4-matrix)", "2:4-matrix"),
    ("sparsegpt(50%-matrix)", "block=128"),
    ("sparsegpt(50%-cols64,block=128)", "block=128"),
    ("besa(2:4)", "a fraction of rows"),
    ("besa(50%-matrix)", "a fraction of rows"),
    ("besa(70%)", "smoothing=none"),
    ("pqp(50%,criterion=)", "unknown criterion"),
    ("pqp(50%,optimizer=adamw,d_coef=2)", "without optimizer=prodigy"),
    ("forward, rtn(int4), forward", "may stand once"),
];

fn refusals() {
    for (text, part) in REFUSED {
        let error = text.parse::<Recipe>().map(|recipe| recipe.to_string()).expect_err(text).to_string();
        assert!(error.contains(part), "`{text}` does not say `{part}`: {error}");
    }
    assert!("besa(50%,criterion=bawa)".parse::<Recipe>().is_ok());
    assert!("besa(70%,smoothing=none)".parse::<Recipe>().is_ok());
    for wrong in ["rtn(int8), smoothquant(0.5)", "smoothquant(2)", "forward(1)"] {
        assert!(wrong.parse::<Recipe>().is_err(), "{wrong}");
    }
}
