//! With the hook off a captured graph gives the bits of eager execution; names and shapes of products.

use burn::tensor::{Device, Int, Tensor, TensorData};
use interplay::burn::{Captured, Off, Product, Role, capture};
use libtest_mimic::{Failed, Trial};

use super::host::burns;
use super::modules::{Bare, Block, Decoder, Fused, Vision, bits, grouped_convolution, tensor};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("exec::replay_equals_eager_decoder", decoder),
        Trial::test("exec::replay_equals_eager_vision", vision),
        Trial::test("exec::replay_equals_eager_fused_attention", fused),
        Trial::test("exec::replay_equals_eager_grouped_convolution", convolution),
        Trial::test("exec::replay_frees_and_repeats", repeat),
        Trial::test("exec::weights_are_shared_with_the_module", shared),
        Trial::test("exec::bare_parameters_are_named", bare),
        Trial::test("exec::another_shape_is_refused", shape),
    ]
}

fn names(captured: &Captured) -> Vec<&str> {
    captured.products().iter().map(|p| p.name.as_str()).collect()
}

fn sizes(p: &Product) -> [usize; 5] {
    [p.m, p.k, p.n, p.count, p.run]
}

fn decoder() -> Result<(), Failed> {
    let model = Decoder::new(50, 32, 2);
    let ids = Tensor::<2, Int>::from_data(
        TensorData::new((0..18).map(|i| i * 7 % 50).collect::<Vec<i64>>(), [2, 9]),
        &Device::flex(),
    );
    let captured = capture(&model, |m, x: Tensor<2, Int>| m.forward(x), &ids)?.on(burns());
    let replay: Tensor<3> = captured.run(ids.clone(), &mut Off)?;
    assert_eq!(bits(replay), bits(model.forward(ids)));
    let block = |i: usize| {
        [
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.qk",
            "self_attn.pv",
            "self_attn.out_proj",
            "fc1",
            "fc2",
        ]
        .map(|n| format!("layers.{i}.{n}"))
    };
    let expected: Vec<_> = block(0).into_iter().chain(block(1)).chain(["embed".to_owned()]).collect();
    assert_eq!(names(&captured), expected);
    let by_name = |n: &str| captured.products().iter().find(|p| p.name == n).map(sizes);
    assert_eq!(by_name("layers.0.fc1"), Some([18, 32, 64, 1, 32]));
    assert_eq!(by_name("layers.1.self_attn.qk"), Some([9, 8, 9, 8, 8]));
    assert_eq!(by_name("layers.1.self_attn.pv"), Some([9, 9, 8, 8, 9]));
    assert_eq!(by_name("embed"), Some([18, 32, 50, 1, 32]));
    Ok(())
}

fn vision() -> Result<(), Failed> {
    let model = Vision::new(3, 16);
    let x = tensor([2, 3, 16, 16], 1);
    let captured = capture(&model, |m, x: Tensor<4>| m.forward(x), &x)?.on(burns());
    let replay: Tensor<3> = captured.run(x.clone(), &mut Off)?;
    assert_eq!(bits(replay), bits(model.forward(x)));
    let expected = ["patch", "attn.query", "attn.key", "attn.value", "attn.qk", "attn.pv", "attn.output", "dense"];
    assert_eq!(names(&captured), expected);
    assert_eq!(sizes(&captured.products()[0]), [32, 48, 16, 1, 3]);
    Ok(())
}

fn fused() -> Result<(), Failed> {
    let model = Fused::new(8);
    let x = tensor([1, 2, 5, 8], 2);
    let captured = capture(&model, |m, x: Tensor<4>| m.forward(x), &x)?.on(burns());
    let replay: Tensor<4> = captured.run(x.clone(), &mut Off)?;
    assert_eq!(bits(replay), bits(model.forward(x)));
    assert_eq!(names(&captured), ["q", "kv", "qk", "pv"]);
    Ok(())
}

fn convolution() -> Result<(), Failed> {
    let model = grouped_convolution();
    let x = tensor([2, 4, 7, 8], 3);
    let captured = capture(&model, |m, x: Tensor<4>| m.forward(x), &x)?.on(burns());
    let replay: Tensor<4> = captured.run(x.clone(), &mut Off)?;
    let eager = model.forward(x);
    let [b, _, h, w] = eager.dims();
    assert_eq!(bits(replay), bits(eager));
    assert_eq!(sizes(&captured.products()[0]), [b * h * w, 12, 3, 2, 2]);
    Ok(())
}

/// A run leaves the captured constants as they were.
fn repeat() -> Result<(), Failed> {
    let model = Block::new(16, 24, 4);
    let x = tensor([1, 6, 16], 4);
    let captured = capture(&model, |m, x: Tensor<3>| m.forward(x), &x)?.on(burns());
    let eager = bits(model.forward(x.clone()));
    for _ in 0..3 {
        assert_eq!(bits(captured.run::<_, Tensor<3>>(x.clone(), &mut Off)?), eager);
    }
    Ok(())
}

fn shared() -> Result<(), Failed> {
    let model = Block::new(64, 128, 4);
    let x = tensor([1, 4, 64], 4);
    let captured = capture(&model, |m, x: Tensor<3>| m.forward(x), &x)?;
    let parameters = 4 * (4 * (64 * 64 + 64) + 2 * 64 + 2 * 64 * 128 + 128 + 64);
    let extra = captured.constant_bytes() - parameters;
    assert!(extra < 4096, "{extra} bytes beyond the parameters");
    Ok(())
}

fn bare() -> Result<(), Failed> {
    let model = Bare::new(6);
    let x = tensor([6, 4], 6);
    let captured = capture(&model, |m, x: Tensor<2>| m.forward(x), &x)?;
    assert_eq!(names(&captured), ["mix", "product0"]);
    let roles: Vec<_> = captured.products().iter().map(|p| p.role).collect();
    assert_eq!(roles, [Role::Weight, Role::Activation]);
    assert_eq!(sizes(&captured.products()[0]), [4, 6, 6, 1, 6]);
    Ok(())
}

fn shape() -> Result<(), Failed> {
    let model = Bare::new(6);
    let captured = capture(&model, |m, x: Tensor<2>| m.forward(x), &tensor([6, 4], 6))?;
    let error = captured.run::<_, Tensor<2>>(tensor([6, 5], 6), &mut Off).err().ok_or("accepted")?;
    assert_eq!(
        error.to_string(),
        "the graph was captured for inputs of shape [[6, 4]], but was given [[6, 5]]; capture it again for that shape"
    );
    Ok(())
}
