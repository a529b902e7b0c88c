//! Perplexity and multiple choice of the embedded language model, against one forward pass a predicted token.

use std::path::{Path, PathBuf};

use interplay::burn::Activation;
use interplay::eval::tasks::{FORMS, Form, Item, accuracy, read, scores};
use interplay::eval::{Eager, Estimate, Runner, perplexity, strided_perplexity, strided_windows};
use interplay::load::{Model, Tokenizer};
use interplay::models::{Checkpoint, embedded};
use libtest_mimic::{Failed, Trial};

/// The largest difference of a token's log-likelihood that is allowed between two forward passes of other lengths: both have
/// logits within 2e-5 of exact ones (the noise of `f32` in models of this size), so log-likelihoods within 4e-5 each.
const TOKEN: f64 = 8e-5;

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("eval::tasks_are_those_of_a_direct_computation", tasks),
        Trial::test("eval::a_long_prompt_loses_its_beginning", long_prompt),
        Trial::test("eval::every_form_has_twenty_items", twenty_items),
        Trial::test("eval::a_stride_predicts_every_token_once", strided),
        Trial::test("eval::damaged_tasks_are_told_by_line", damaged),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tasks")
}

fn items(form: &Form, limit: usize) -> Result<Vec<Item>, Failed> {
    Ok(read(form, &folder().join(format!("{}.jsonl", form.name)), limit)?)
}

fn tokenizer(model: &Model) -> Result<&Tokenizer, Failed> {
    model.tokenizer.as_ref().ok_or_else(|| "the embedded model has no tokenizer".into())
}

/// `ln p(next | before)` by the plain definition, from one forward pass of `before`.
fn direct(checkpoint: &dyn Checkpoint, before: &[i64], next: i64) -> Result<f64, Failed> {
    let mut activation = Activation::ids(before, before.len());
    let mut runner = Eager::new(checkpoint);
    for stage in 0..checkpoint.stages() {
        runner.enter(stage)?;
        if stage + 1 == checkpoint.stages() {
            activation = activation.into_all_rows();
        }
        activation = runner.forward(activation)?;
    }
    let logits = activation.into_rows().into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?;
    let last = &logits[logits.len() - logits.len() / before.len()..];
    let sum: f64 = last.iter().map(|&logit| f64::from(logit).exp()).sum();
    Ok((f64::from(last[next as usize]).exp() / sum).ln())
}

/// The score of a choice: the tokens of prompt and choice together, less as many as the prompt has by itself.
fn direct_score(model: &Model, context: &str, continuation: &str, longest: usize) -> Result<(f64, usize), Failed> {
    let tokenizer = tokenizer(model)?;
    let before = tokenizer.encode(context, false)?.len();
    let whole = tokenizer.encode(&(context.to_owned() + continuation), false)?;
    let whole: Vec<i64> = whole.into_iter().map(i64::from).collect();
    let mut score = 0.0;
    for at in before..whole.len() {
        // All tokens of a choice see the same beginning: what fits before its last token.
        let first = whole.len().saturating_sub(longest + 1);
        score += direct(&*model.checkpoint, &whole[first..at], whole[at])?;
    }
    Ok((score, whole.len() - before))
}

fn tasks() -> Result<(), Failed> {
    let model = embedded::lm().open()?;
    for form in FORMS.iter().filter(|form| form.name != "arc_challenge") {
        let items = items(form, 4)?;
        let got = scores(&mut Eager::new(&*model.checkpoint), tokenizer(&model)?, &items)?;
        for (item, got) in items.iter().zip(&got) {
            for (choice, got) in item.choices.iter().zip(got) {
                let (want, tokens) = direct_score(&model, &choice.context, &choice.continuation, 256)?;
                let allowed = TOKEN * tokens as f64;
                assert!((got - want).abs() <= allowed, "{}: {got} instead of {want} for {choice:?}", form.name);
            }
        }
        // The first item alone is right or wrong, without a spread.
        let first = accuracy(&items[..1], &got[..1])?;
        let best = got[0].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let right = got[0].iter().position(|score| *score == best) == Some(items[0].answer);
        assert_eq!(first.raw, Estimate { mean: f64::from(u8::from(right)), stderr: None });
    }
    Ok(())
}

fn long_prompt() -> Result<(), Failed> {
    let model = embedded::lm().open()?;
    let mut item = items(Form::by_name("boolq")?, 1)?.remove(0);
    let passage: String = embedded::heldout_text().chars().take(4000).collect();
    for choice in &mut item.choices {
        choice.context = format!("{passage}\n{}", choice.context);
    }
    let got = scores(&mut Eager::new(&*model.checkpoint), tokenizer(&model)?, std::slice::from_ref(&item))?;
    for (choice, got) in item.choices.iter().zip(&got[0]) {
        let (want, tokens) = direct_score(&model, &choice.context, &choice.continuation, 256)?;
        assert!((got - want).abs() <= TOKEN * tokens as f64, "{got} instead of {want}");
    }
    item.choices[0].continuation = format!(" {passage}");
    let refused = scores(&mut Eager::new(&*model.checkpoint), tokenizer(&model)?, &[item]);
    assert!(refused.unwrap_err().to_string().contains("1 to 256"));
    Ok(())
}

fn twenty_items() -> Result<(), Failed> {
    for form in FORMS.iter().filter(|form| form.name != "arc_challenge") {
        assert_eq!(items(form, usize::MAX)?.len(), 20, "{}", form.name);
    }
    Ok(())
}

fn strided() -> Result<(), Failed> {
    let model = embedded::lm().open()?;
    let text: String = embedded::heldout_text().chars().take(400).collect();
    let ids = tokenizer(&model)?.encode(&text, true)?;
    let (length, stride, count) = (24, 10, 4);
    let windows = strided_windows(&ids, length, stride, count)?;
    let got = strided_perplexity(&mut Eager::new(&*model.checkpoint), &windows, stride)?;
    assert_eq!(got.window_tokens, [length - 1, stride, stride, stride]);
    assert_eq!(got.tokens(), length - 1 + (count - 1) * stride);
    let ids: Vec<i64> = ids.into_iter().map(i64::from).collect();
    let mut total = 0.0;
    for (index, got) in got.token_nll.iter().enumerate() {
        // Token `index + 1` of the text, seen from the beginning of the first window that reaches it.
        let target = index + 1;
        let window = (target + 1).saturating_sub(length).div_ceil(stride);
        let want = -direct(&*model.checkpoint, &ids[window * stride..target], ids[target])?;
        assert!((got - want).abs() <= TOKEN, "token {target}: {got} instead of {want}");
        total += got;
    }
    assert!((got.nll().mean - total / got.tokens() as f64).abs() < 1e-12);
    let whole = strided_windows(&ids.iter().map(|&id| id as u32).collect::<Vec<_>>(), length, length, 3)?;
    let runner = &mut Eager::new(&*model.checkpoint);
    assert_eq!(perplexity(runner, &whole)?, strided_perplexity(runner, &whole, length)?);
    assert!(strided_perplexity(runner, &whole, length + 1).is_err());
    Ok(())
}

fn damaged() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("piqa.jsonl");
    let form = Form::by_name("piqa")?;
    std::fs::write(&path, "\n{\"goal\":\"g\",\"sol1\":\"a\",\"sol2\":\"b\",\"label\":0}\n{\"goal\":1}\n")?;
    let message = read(form, &path, usize::MAX).unwrap_err().to_string();
    assert!(message.contains("piqa.jsonl") && message.contains("line 3") && message.contains("`goal`"), "{message}");
    assert_eq!(read(form, &path, 1)?.len(), 1);
    std::fs::write(&path, "\n")?;
    assert!(read(form, &path, 1).unwrap_err().to_string().contains("no item"));
    Ok(())
}
