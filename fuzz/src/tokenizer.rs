//! Files `tokenizer.json` made of parts that mean something.

use arbitrary::{Result, Unstructured};

const PATTERNS: [&str; 12] =
    ["", "a", "x*", "^", "$|a", r"\\b", "(?=a)", " {2,}", r"\\p{L}+", r"\\s+(?!\\S)|\\s+", "(a|b)*c", "é"];
const TEXTS: [&str; 8] = ["", "a", " ", "▁", "##", "th", "<unk>", "中文"];
const NUMBERS: [&str; 7] = ["0", "1", "2", "5", "100", "4294967295", "-1"];
const BEHAVIOURS: [&str; 5] = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"];
/// Tables that are none.
const TABLES: [&str; 4] = ["", "AAAA", "BAAAAAAAAAA=", "/P///w=="];
const NORMALIZERS: &[&str] = &[
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Nmt",
    "Lowercase",
    "StripAccents",
    "Strip",
    "Replace",
    "Prepend",
    "Precompiled",
    "BertNormalizer",
    "ByteLevel",
];
const PRE_TOKENIZERS: &[&str] = &[
    "BertPreTokenizer",
    "Whitespace",
    "WhitespaceSplit",
    "UnicodeScripts",
    "Split",
    "FixedLength",
    "Digits",
    "Punctuation",
    "CharDelimiterSplit",
    "Metaspace",
    "ByteLevel",
];
const DECODERS: &[&str] =
    &["ByteFallback", "Fuse", "Strip", "Replace", "Metaspace", "ByteLevel", "BPEDecoder", "WordPiece", "CTC"];

/// A whole file.
pub fn any(u: &mut Unstructured) -> Result<Vec<u8>> {
    let normalizer = chain(u, "normalizers")?;
    let pre = chain(u, "pretokenizers")?;
    let decoder = chain(u, "decoders")?;
    let (post, model, added) = (processor(u)?, model(u)?, added(u)?);
    let file = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{added}],"normalizer":{normalizer},"pre_tokenizer":{pre},"post_processor":{post},"decoder":{decoder},"model":{model}}}"#
    );
    Ok(file.into_bytes())
}

fn chain(u: &mut Unstructured, list: &str) -> Result<String> {
    if u.ratio(1, 3)? {
        return Ok("null".into());
    }
    if u.arbitrary()? {
        return part(u, list);
    }
    let parts = (0..u.int_in_range(0..=4)?).map(|_| part(u, list)).collect::<Result<Vec<_>>>()?;
    Ok(format!(r#"{{"type":"Sequence","{list}":[{}]}}"#, parts.join(",")))
}

/// A part that the chain may have; each has the fields of all, of which it takes its own.
fn part(u: &mut Unstructured, list: &str) -> Result<String> {
    // Now and then a part of another chain, or of none.
    let others: &[&[&str]] = &[NORMALIZERS, PRE_TOKENIZERS, DECODERS, &["Sequenc"]];
    let kinds = match list {
        _ if u.ratio(1, 32)? => u.choose(others)?,
        "normalizers" => NORMALIZERS,
        "pretokenizers" => PRE_TOKENIZERS,
        _ => DECODERS,
    };
    let kind = u.choose(kinds)?;
    let (form, pattern, text) = (u.choose(&["String", "Regex"])?, u.choose(&PATTERNS)?, u.choose(&TEXTS)?);
    let (behaviour, flags) = (u.choose(&BEHAVIOURS)?, u.arbitrary::<[bool; 2]>()?);
    let number = u.choose(&NUMBERS)?;
    let fields = match *kind {
        "Replace" => format!(r#","pattern":{{"{form}":"{pattern}"}},"content":"{text}""#),
        "Split" => format!(r#","pattern":{{"{form}":"{pattern}"}},"behavior":"{behaviour}","invert":{}"#, flags[0]),
        "Prepend" => format!(r#","prepend":"{text}""#),
        "Precompiled" => format!(r#","precompiled_charsmap":"{}""#, u.choose(&TABLES)?),
        "FixedLength" => format!(r#","length":{number}"#),
        "Digits" => format!(r#","individual_digits":{}"#, flags[0]),
        "Punctuation" => format!(r#","behavior":"{behaviour}""#),
        "CharDelimiterSplit" => r#","delimiter":"a""#.into(),
        "Metaspace" => format!(
            r#","replacement":"▁","prepend_scheme":"{}","split":{}"#,
            u.choose(&["always", "first", "never"])?,
            flags[0]
        ),
        "ByteLevel" => format!(r#","add_prefix_space":{},"trim_offsets":true,"use_regex":{}"#, flags[0], flags[1]),
        "BertNormalizer" => format!(
            r#","clean_text":{},"handle_chinese_chars":{},"strip_accents":null,"lowercase":true"#,
            flags[0], flags[1]
        ),
        "Strip" if list == "normalizers" => format!(r#","strip_left":{},"strip_right":{}"#, flags[0], flags[1]),
        "Strip" => format!(r#","content":"a","start":{number},"stop":{number}"#),
        "WordPiece" => format!(r#","prefix":"{text}","cleanup":{}"#, flags[0]),
        "BPEDecoder" => format!(r#","suffix":"{text}""#),
        "CTC" => format!(r#","pad_token":"{text}","word_delimiter_token":"{text}","cleanup":{}"#, flags[0]),
        _ => String::new(),
    };
    Ok(format!(r#"{{"type":"{kind}"{fields}}}"#))
}

fn processor(u: &mut Unstructured) -> Result<String> {
    let pieces = [
        r#"{"Sequence":{"id":"A","type_id":0}}"#,
        r#"{"Sequence":{"id":"B","type_id":1}}"#,
        r#"{"SpecialToken":{"id":"a","type_id":0}}"#,
        r#"{"SpecialToken":{"id":"b","type_id":0}}"#,
    ];
    let list = |u: &mut Unstructured| -> Result<String> {
        let parts = (0..u.int_in_range(0..=3)?).map(|_| u.choose(&pieces).copied()).collect::<Result<Vec<_>>>()?;
        Ok(parts.join(","))
    };
    let template = format!(
        r#"{{"type":"TemplateProcessing","single":[{}],"pair":[{}],"special_tokens":{{"a":{{"id":"a","ids":[1],"tokens":["a"]}}}}}}"#,
        list(u)?,
        list(u)?
    );
    let bytes = r#"{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}"#;
    let bert = r#"{"type":"BertProcessing","sep":["a",1],"cls":["b",2]}"#;
    let roberta =
        r#"{"type":"RobertaProcessing","sep":["a",1],"cls":["b",2],"trim_offsets":true,"add_prefix_space":false}"#;
    Ok(match u.int_in_range(0..=5)? {
        0 => "null".into(),
        1 => bytes.into(),
        2 => bert.into(),
        3 => template,
        4 => format!(r#"{{"type":"Sequence","processors":[{bytes},{template},{roberta}]}}"#),
        _ => format!(r#"{{"type":"Sequence","processors":[{bert},{template},{template}]}}"#),
    })
}

fn model(u: &mut Unstructured) -> Result<String> {
    let vocab = r###"{"<unk>":0,"a":1,"b":2,"t":3,"h":4,"th":5,"##h":6,"t##":7,"▁":8,"<0x41>":9}"###;
    let (prefix, number) = (u.choose(&["null", r#""""#, r###""##""###])?, u.choose(&NUMBERS)?);
    let (unknown, merges) = (
        u.choose(&[r#""<unk>""#, r#""none""#, "null"])?,
        u.choose(&["", r#""t h""#, r#"["t","h"]"#, r###""t ##h""###])?,
    );
    let flags = u.arbitrary::<[bool; 3]>()?;
    Ok(match u.int_in_range(0..=3)? {
        0 => format!(
            r#"{{"type":"BPE","dropout":null,"unk_token":{unknown},"continuing_subword_prefix":{prefix},"end_of_word_suffix":{prefix},"fuse_unk":{},"byte_fallback":{},"ignore_merges":{},"vocab":{vocab},"merges":[{merges}]}}"#,
            flags[0], flags[1], flags[2]
        ),
        1 => format!(
            r###"{{"type":"WordPiece","unk_token":{unknown},"continuing_subword_prefix":"##","max_input_chars_per_word":{number},"vocab":{vocab}}}"###
        ),
        2 => format!(r#"{{"type":"WordLevel","vocab":{vocab},"unk_token":{unknown}}}"#),
        _ => format!(
            r#"{{"type":"Unigram","unk_id":{number},"vocab":[["<unk>",0],["",1],["a",-1],["th",-2.5],["é",1e308]],"byte_fallback":{}}}"#,
            flags[0]
        ),
    })
}

fn added(u: &mut Unstructured) -> Result<String> {
    let mut tokens = Vec::new();
    for id in 0..u.int_in_range(0..=3)? {
        let (text, [single, left, right, normalized, special]) = (u.choose(&TEXTS)?, u.arbitrary::<[bool; 5]>()?);
        tokens.push(format!(
            r#"{{"id":{id},"content":"{text}","single_word":{single},"lstrip":{left},"rstrip":{right},"normalized":{normalized},"special":{special}}}"#
        ));
    }
    Ok(tokens.join(","))
}
