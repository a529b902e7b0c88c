//! The baseline that a language model has to beat: an interpolated trigram with modified Kneser-Ney smoothing.
//!
//! Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling" (1999): three discounts an
//! order from the counts of counts, continuation counts below the highest order, and a uniform distribution under the
//! unigrams. It never looks further back than two tokens and never sees the held-out text.

use std::collections::HashMap;

/// What followed one context.
#[derive(Debug, Clone, Default)]
struct Context {
    /// Each token that followed and its count, by token.
    continuations: Vec<(u32, u32)>,
    /// Sum of the counts.
    total: f64,
    /// What the discounts take from the counts, for the lower order to share out.
    freed: f64,
}

/// One order of the model: what followed each context of its length, packed in an integer.
#[derive(Debug, Default)]
struct Order {
    contexts: HashMap<u64, Context>,
    discounts: [f64; 3],
}

impl Order {
    fn new(counts: HashMap<(u64, u32), u32>) -> Self {
        let mut contexts: HashMap<u64, Context> = HashMap::new();
        let mut of_count = [0.0f64; 4];
        for ((context, token), count) in counts {
            contexts.entry(context).or_default().continuations.push((token, count));
            if let Some(n) = of_count.get_mut(count as usize - 1) {
                *n += 1.0;
            }
        }
        let discounts = discounts(of_count);
        for context in contexts.values_mut() {
            context.continuations.sort_unstable();
            context.total = context.continuations.iter().map(|&(_, count)| f64::from(count)).sum();
            context.freed = context.continuations.iter().map(|&(_, count)| discounts[kind(count)]).sum();
        }
        Self { contexts, discounts }
    }

    /// `P(token | context)`, with `lower` as the probability from the next shorter context.
    fn probability(&self, context: u64, token: u32, lower: f64) -> f64 {
        let Some(found) = self.contexts.get(&context) else { return lower };
        let place = found.continuations.binary_search_by_key(&token, |&(token, _)| token);
        let own = place.map_or(0.0, |place| self.kept(found.continuations[place].1));
        (own + found.freed * lower) / found.total
    }

    /// As [`Order::probability`] for every token at once; `out` goes in as the next shorter context's distribution.
    fn distribution(&self, context: u64, out: &mut [f32]) {
        let Some(found) = self.contexts.get(&context) else { return };
        let share = (found.freed / found.total) as f32;
        out.iter_mut().for_each(|probability| *probability *= share);
        for &(token, count) in &found.continuations {
            out[token as usize] += (self.kept(count) / found.total) as f32;
        }
    }

    /// A count after its discount.
    fn kept(&self, count: u32) -> f64 {
        f64::from(count) - self.discounts[kind(count)]
    }
}

/// Which of the three discounts a count takes.
fn kind(count: u32) -> usize {
    count.clamp(1, 3) as usize - 1
}

/// The discounts for counts of 1, 2 and 3 or more, from the numbers of n-grams seen once, twice, three and four times.
///
/// A corpus too small to estimate them (one of the numbers is 0) takes 0.5, 0.75 and 0.9.
fn discounts(of_count: [f64; 4]) -> [f64; 3] {
    if of_count.contains(&0.0) {
        return [0.5, 0.75, 0.9];
    }
    let [n1, n2, n3, n4] = of_count;
    let y = n1 / (n1 + 2.0 * n2);
    [1.0 - 2.0 * y * n2 / n1, 2.0 - 3.0 * y * n3 / n2, 3.0 - 4.0 * y * n4 / n3].map(|discount| discount.max(0.0))
}

/// A trigram model over token ids below `vocabulary`.
#[derive(Debug)]
pub struct KneserNey {
    unigrams: Order,
    bigrams: Order,
    trigrams: Order,
    vocabulary: usize,
    /// The distribution without a history.
    base: Vec<f32>,
}

impl KneserNey {
    /// Counts a running text.
    pub fn train(tokens: &[u32], vocabulary: usize) -> Self {
        let mut trigrams: HashMap<(u64, u32), u32> = HashMap::new();
        for window in tokens.windows(3) {
            *trigrams.entry((pair(window[0], window[1]), window[2])).or_default() += 1;
        }
        // A lower order counts in how many different contexts an n-gram was seen, not how often.
        let mut bigrams: HashMap<(u64, u32), u32> = HashMap::new();
        for &(context, token) in trigrams.keys() {
            *bigrams.entry((context & u64::from(u32::MAX), token)).or_default() += 1;
        }
        let mut unigrams: HashMap<(u64, u32), u32> = HashMap::new();
        for &(_, token) in bigrams.keys() {
            *unigrams.entry((0, token)).or_default() += 1;
        }
        let unigrams = Order::new(unigrams);
        let uniform = 1.0 / vocabulary as f64;
        let base = (0..vocabulary as u32).map(|token| unigrams.probability(0, token, uniform) as f32).collect();
        Self { unigrams, bigrams: Order::new(bigrams), trigrams: Order::new(trigrams), vocabulary, base }
    }

    /// `P(token | history)`; only the last two tokens of the history count.
    pub fn probability(&self, history: &[u32], token: u32) -> f64 {
        let unigram = self.unigrams.probability(0, token, 1.0 / self.vocabulary as f64);
        let [.., last] = history else { return unigram };
        let bigram = self.bigrams.probability(u64::from(*last), token, unigram);
        let [.., before, last] = history else { return bigram };
        self.trigrams.probability(pair(*before, *last), token, bigram)
    }

    /// The probability of every token after `history`, into `out` (one value a token of the vocabulary).
    pub fn distribution(&self, history: &[u32], out: &mut [f32]) {
        out.copy_from_slice(&self.base);
        if let [.., last] = history {
            self.bigrams.distribution(u64::from(*last), out);
        }
        if let [.., before, last] = history {
            self.trigrams.distribution(pair(*before, *last), out);
        }
    }

    /// Perplexity over the non-overlapping windows of `length` tokens, each on its own and its first token not predicted; a
    /// shorter rest is left out. This is what the language model is measured on.
    pub fn perplexity(&self, tokens: &[u32], length: usize) -> f64 {
        let (mut sum, mut count) = (0.0, 0usize);
        for window in tokens.chunks_exact(length) {
            for i in 1..length {
                sum -= self.probability(&window[..i], window[i]).ln();
                count += 1;
            }
        }
        (sum / count as f64).exp()
    }
}

fn pair(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toy_corpus_by_hand() {
        // a b c a b d over {a, b, c, d}: trigrams abc bca cab abd, each once. Too small for the estimate: D1 = 0.5.
        let model = KneserNey::train(&[0, 1, 2, 0, 1, 3], 4);
        // Bigram types that end a trigram: bc ca ab bd, one context each; unigram continuations: one each for c a b d.
        let unigram = (1.0 - 0.5 + 4.0 * 0.5 / 4.0) / 4.0;
        assert!((model.probability(&[], 2) - unigram).abs() < 1e-15);
        let bigram = (0.5 + 2.0 * 0.5 * unigram) / 2.0;
        assert!((model.probability(&[1], 2) - bigram).abs() < 1e-15);
        let trigram = (0.5 + 2.0 * 0.5 * bigram) / 2.0;
        assert!((model.probability(&[3, 0, 1], 2) - trigram).abs() < 1e-15);
        // An unseen trigram context falls back to the bigram, an unseen token keeps the freed mass alone.
        assert!((model.probability(&[3, 1], 2) - bigram).abs() < 1e-15);
        assert!((model.probability(&[0, 1], 0) - 0.5 * (0.5 * unigram)).abs() < 1e-15);
    }

    #[test]
    fn discounts_follow_the_counts_of_counts() {
        // Y = 8 / (8 + 2*4) = 0.5; D1 = 1 - 2*0.5*4/8, D2 = 2 - 3*0.5*2/4, D3 = 3 - 4*0.5*1/2.
        assert_eq!(discounts([8.0, 4.0, 2.0, 1.0]), [0.5, 1.25, 2.0]);
    }

    #[test]
    fn probabilities_sum_to_one() {
        let mut stream = crate::train::random::SplitMix64::new(1, "toy");
        let tokens: Vec<u32> = (0..500).map(|_| (stream.below(7) * stream.below(3)) as u32).collect();
        let model = KneserNey::train(&tokens, 20);
        for history in [&[][..], &[1], &[2, 4], &[19, 19]] {
            let sum: f64 = (0..20).map(|token| model.probability(history, token)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{history:?}: {sum}");
            let mut all = [0.0; 20];
            model.distribution(history, &mut all);
            let same = |token: usize| (f64::from(all[token]) - model.probability(history, token as u32)).abs() < 1e-6;
            assert!((0..20).all(same), "{history:?}: {all:?}");
        }
    }
}
