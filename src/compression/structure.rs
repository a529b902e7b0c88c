//! What feeds what inside a block, by architecture: which scales of inputs can be folded into what comes before.
//!
//! A scale of a linear layer's inputs costs nothing where whatever makes them can be divided by it: a norm's gain and shift, or the rows of
//! another linear layer with nothing but a gate or a rectifier in between.

/// Who makes the inputs of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feeder {
    /// A norm, by its name in the block.
    Norm(&'static str),
    /// A linear layer whose outputs reach the group scaled or rectified, value by value.
    Linear(&'static str),
}

/// Linear layers that share their inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    /// Who makes the inputs.
    pub(super) feeder: Feeder,
    /// The layers, by their names in the block.
    pub(super) linears: &'static [&'static str],
    /// The layer whose outputs are those of the enclosing module: attention, the feed-forward, or the layer itself.
    pub(super) module: &'static str,
}

const LLAMA: [Group; 4] = [
    Group {
        feeder: Feeder::Norm("input_layernorm"),
        linears: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        module: "self_attn.o_proj",
    },
    Group { feeder: Feeder::Linear("self_attn.v_proj"), linears: &["self_attn.o_proj"], module: "self_attn.o_proj" },
    Group {
        feeder: Feeder::Norm("post_attention_layernorm"),
        linears: &["mlp.gate_proj", "mlp.up_proj"],
        module: "mlp.down_proj",
    },
    Group { feeder: Feeder::Linear("mlp.up_proj"), linears: &["mlp.down_proj"], module: "mlp.down_proj" },
];

const OPT: [Group; 4] = [
    Group {
        feeder: Feeder::Norm("self_attn_layer_norm"),
        linears: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        module: "self_attn.out_proj",
    },
    Group {
        feeder: Feeder::Linear("self_attn.v_proj"),
        linears: &["self_attn.out_proj"],
        module: "self_attn.out_proj",
    },
    Group { feeder: Feeder::Norm("final_layer_norm"), linears: &["fc1"], module: "fc1" },
    Group { feeder: Feeder::Linear("fc1"), linears: &["fc2"], module: "fc2" },
];

/// GPT-2's `c_attn` holds queries, keys and values in one, and its GELU lets no scale through.
const GPT2: [Group; 2] = [
    Group { feeder: Feeder::Norm("ln_1"), linears: &["attn.c_attn"], module: "attn.c_proj" },
    Group { feeder: Feeder::Norm("ln_2"), linears: &["mlp.c_fc"], module: "mlp.c_fc" },
];

/// The groups of an architecture's blocks; none where nothing is known of it.
pub(super) fn groups(architecture: &str) -> &'static [Group] {
    match architecture {
        "llama" | "mistral" | "qwen2" => &LLAMA,
        "opt" => &OPT,
        "gpt2" => &GPT2,
        _ => &[],
    }
}
