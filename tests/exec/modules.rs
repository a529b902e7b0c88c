//! Small Burn modules that a user might have written: nothing in them knows of this project.

use burn::module::{Module, Param};
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig, generate_autoregressive_mask};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{gelu, relu, softmax};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Reproducible values in about -1..1 with full mantissas.
pub fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..count).map(|_| (next() >> 40) as f32 / 8_388_608.0 - 1.0).collect()
}

pub fn tensor<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values(shape.iter().product(), seed), shape), &Device::flex())
}

pub fn bits<const D: usize>(t: Tensor<D>) -> Vec<u32> {
    t.into_data().try_into_vec::<f32>().expect("f32 data").into_iter().map(f32::to_bits).collect()
}

/// The attention of a decoder, written with plain products.
#[derive(Module, Debug)]
pub struct SelfAttention {
    pub q_proj: Linear,
    pub k_proj: Linear,
    pub v_proj: Linear,
    pub out_proj: Linear,
}

/// A pre-norm decoder block.
#[derive(Module, Debug)]
pub struct Block {
    pub self_attn: SelfAttention,
    pub norm: LayerNorm,
    pub fc1: Linear,
    pub fc2: Linear,
    #[module(skip)]
    pub heads: usize,
}

impl Block {
    pub fn new(d: usize, ffn: usize, heads: usize) -> Self {
        let device = Device::flex();
        let linear = |i, o| LinearConfig::new(i, o).init(&device);
        Self {
            self_attn: SelfAttention {
                q_proj: linear(d, d),
                k_proj: linear(d, d),
                v_proj: linear(d, d),
                out_proj: linear(d, d),
            },
            norm: LayerNormConfig::new(d).init(&device),
            fc1: linear(d, ffn),
            fc2: linear(ffn, d),
            heads,
        }
    }

    /// [`Block::forward`] as a plain function.
    pub fn forward_owned(block: &Self, x: Tensor<3>) -> Tensor<3> {
        block.forward(x)
    }

    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [b, t, d] = x.dims();
        let split = |y: Tensor<3>| y.reshape([b, t, self.heads, d / self.heads]).swap_dims(1, 2);
        let h = self.norm.forward(x.clone());
        let q = split(self.self_attn.q_proj.forward(h.clone())) / ((d / self.heads) as f64).sqrt();
        let k = split(self.self_attn.k_proj.forward(h.clone()));
        let v = split(self.self_attn.v_proj.forward(h));
        let mask = generate_autoregressive_mask(b, t, &x.device()).unsqueeze_dim::<4>(1);
        let scores = q.matmul(k.transpose()).mask_fill(mask, f32::NEG_INFINITY);
        let y = softmax(scores, 3).matmul(v).swap_dims(1, 2).reshape([b, t, d]);
        let x = x + self.self_attn.out_proj.forward(y);
        let h = relu(self.fc1.forward(self.norm.forward(x.clone())));
        x + self.fc2.forward(h)
    }
}

/// A decoder LM whose head is its embedding.
#[derive(Module, Debug)]
pub struct Decoder {
    pub embed: Embedding,
    pub layers: Vec<Block>,
}

impl Decoder {
    pub fn new(vocabulary: usize, d: usize, depth: usize) -> Self {
        let embed = EmbeddingConfig::new(vocabulary, d).init(&Device::flex());
        Self { embed, layers: (0..depth).map(|_| Block::new(d, 2 * d, 4)).collect() }
    }

    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let x = self.layers.iter().fold(self.embed.forward(ids), |x, layer| layer.forward(x));
        x.matmul(self.embed.weight.val().transpose().unsqueeze())
    }
}

/// Patches of an image through a strided convolution, then Burn's own multi-head attention.
#[derive(Module, Debug)]
pub struct Vision {
    pub patch: Conv2d,
    pub attn: MultiHeadAttention,
    pub dense: Linear,
}

impl Vision {
    pub fn new(channels: usize, d: usize) -> Self {
        let device = Device::flex();
        Self {
            patch: Conv2dConfig::new([channels, d], [4, 4]).with_stride([4, 4]).init(&device),
            attn: MultiHeadAttentionConfig::new(d, 4).with_dropout(0.0).init(&device),
            dense: LinearConfig::new(d, 10).init(&device),
        }
    }

    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let x = self.patch.forward(images);
        let [b, d, h, w] = x.dims();
        let x = x.reshape([b, d, h * w]).swap_dims(1, 2);
        let y = self.attn.forward(MhaInput::self_attn(x.clone())).context;
        self.dense.forward(gelu(x + y))
    }
}

/// A padded, dilated, grouped convolution.
pub fn grouped_convolution() -> Conv2d {
    Conv2dConfig::new([4, 6], [3, 2])
        .with_stride([2, 1])
        .with_dilation([1, 2])
        .with_groups(2)
        .with_padding(PaddingConfig2d::Explicit(1, 2, 1, 2))
        .init(&Device::flex())
}

/// A convolution of single pixels whose output has the size of its input, by steps of two over a padded image.
pub fn strided_pixels() -> Conv2d {
    Conv2dConfig::new([3, 4], [1, 1])
        .with_stride([2, 2])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(&Device::flex())
}

/// Burn's fused attention between a projection of each operand.
#[derive(Module, Debug)]
pub struct Fused {
    pub q: Linear,
    pub kv: Linear,
}

impl Fused {
    pub fn new(d: usize) -> Self {
        let linear = || LinearConfig::new(d, d).with_bias(false).init(&Device::flex());
        Self { q: linear(), kv: linear() }
    }

    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (q, kv) = (self.q.forward(x.clone()), self.kv.forward(x));
        let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
        attention(q, kv.clone(), kv, None, None, options)
    }
}

/// A parameter used as the left operand, and a product of a tensor with itself.
#[derive(Module, Debug)]
pub struct Bare {
    pub mix: Param<Tensor<2>>,
}

impl Bare {
    pub fn new(n: usize) -> Self {
        Self { mix: Param::from_tensor(tensor([n, n], 5)) }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = self.mix.val().matmul(x);
        y.clone().transpose().matmul(y)
    }
}
