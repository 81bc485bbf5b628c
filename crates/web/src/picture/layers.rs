//! A graph laid out in layers: what feeds something stands above it. Longest paths give the layers, a walk from the results and a few
//! barycentre sweeps the order within them, and a regression the places, so that chains are straight. The same graph has the same layout.

/// Apart, between boxes beside each other and between layers.
const GAP: i64 = 24;
const RISE: i64 = 44;
/// Sweeps over all layers.
const SWEEPS: usize = 4;

/// Where everything is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Left upper corners of the boxes.
    pub places: Vec<(i64, i64)>,
    /// Points of each edge, from the lower side of a box to the upper side of another; empty for what is no edge.
    pub paths: Vec<Vec<(i64, i64)>>,
    /// Width of everything.
    pub width: i64,
    /// Height of everything.
    pub height: i64,
}

/// A box or a bend of an edge.
struct Item {
    layer: usize,
    width: i64,
    /// Upper and lower neighbours.
    above: Vec<usize>,
    below: Vec<usize>,
}

/// Lays boxes of these widths and heights out; edges go from what feeds to what is fed.
pub fn layout(sizes: &[(i64, i64)], edges: &[(usize, usize)]) -> Layout {
    let count = sizes.len();
    let good = |edge: &(usize, usize)| edge.0 < count && edge.1 < count && edge.0 != edge.1;
    let layers_of = ranks(count, edges.iter().copied().filter(good));
    let lowest = layers_of.iter().copied().max().unwrap_or(0);
    let mut items: Vec<Item> = (0..count)
        .map(|node| Item {
            layer: lowest - layers_of[node],
            width: sizes[node].0,
            above: Vec::new(),
            below: Vec::new(),
        })
        .collect();
    // Long edges bend between boxes, unless there are too many of them to be followed.
    let lengths = edges
        .iter()
        .filter(|edge| good(edge))
        .map(|(from, to)| layers_of[*from].saturating_sub(layers_of[*to] + 1));
    let bends = lengths.sum::<usize>() <= 4 * count + 1000;
    let mut chains: Vec<Vec<usize>> = Vec::with_capacity(edges.len());
    for edge in edges {
        let (from, to) = *edge;
        if !good(edge) || layers_of[from] <= layers_of[to] {
            chains.push(Vec::new());
            continue;
        }
        let mut chain = vec![from];
        for layer in items[from].layer + 1..items[to].layer {
            if bends {
                items.push(Item {
                    layer,
                    width: 8,
                    above: Vec::new(),
                    below: Vec::new(),
                });
                chain.push(items.len() - 1);
            }
        }
        chain.push(to);
        for pair in chain.windows(2) {
            if items[pair[0]].layer + 1 == items[pair[1]].layer {
                items[pair[0]].below.push(pair[1]);
                items[pair[1]].above.push(pair[0]);
            }
        }
        chains.push(chain);
    }
    let mut layers = ordered(&items, lowest + 1);
    for sweep in 0..SWEEPS {
        smooth(&items, &mut layers, sweep % 2 == 0);
    }
    let centres = centred(&items, &layers);
    let heights: Vec<i64> = layers
        .iter()
        .map(|layer| {
            layer
                .iter()
                .filter(|item| **item < count)
                .map(|item| sizes[*item].1)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let tops: Vec<i64> = heights
        .iter()
        .scan(GAP, |top, height| {
            let here = *top;
            *top += height + RISE;
            Some(here)
        })
        .collect();
    let shift = (0..items.len())
        .map(|item| centres[item] - items[item].width / 2)
        .min()
        .unwrap_or(0)
        - GAP;
    let centre = |item: usize| centres[item] - shift;
    let places: Vec<(i64, i64)> = (0..count)
        .map(|node| (centre(node) - sizes[node].0 / 2, tops[items[node].layer]))
        .collect();
    let path = |chain: &Vec<usize>| -> Vec<(i64, i64)> {
        let mut points = Vec::with_capacity(2 * chain.len());
        for (place, item) in chain.iter().enumerate() {
            let top = tops[items[*item].layer];
            let lower = if *item < count {
                top + sizes[*item].1
            } else {
                top + heights[items[*item].layer]
            };
            if place > 0 {
                points.push((centre(*item), top));
            }
            if place + 1 < chain.len() {
                points.push((centre(*item), lower));
            }
        }
        points
    };
    let right = (0..items.len())
        .map(|item| centre(item) + items[item].width / 2)
        .max()
        .unwrap_or(0);
    Layout {
        paths: chains.iter().map(path).collect(),
        places,
        width: right + GAP,
        height: tops
            .last()
            .zip(heights.last())
            .map_or(0, |(top, height)| top + height + GAP),
    }
}

/// The longest way from each node to a result; edges that close a circle do not count.
fn ranks(count: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut feeds: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut fed_by: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (from, to) in edges {
        feeds[from].push(to);
        fed_by[to].push(from);
    }
    let mut waits: Vec<usize> = feeds.iter().map(Vec::len).collect();
    let mut ready: Vec<usize> = (0..count).filter(|node| waits[*node] == 0).collect();
    let mut ranks = vec![0; count];
    let mut done = vec![false; count];
    let mut next = 0;
    loop {
        while let Some(node) = ready.pop() {
            if std::mem::replace(&mut done[node], true) {
                continue;
            }
            for from in &fed_by[node] {
                if !done[*from] {
                    ranks[*from] = ranks[*from].max(ranks[node] + 1);
                }
                waits[*from] = waits[*from].saturating_sub(1);
                if waits[*from] == 0 {
                    ready.push(*from);
                }
            }
        }
        // What is left is in a circle.
        while next < count && done[next] {
            next += 1;
        }
        if next == count {
            return ranks;
        }
        ready.push(next);
    }
}

/// Layers in the order in which a walk from the results meets their items: trees come out without crossings.
fn ordered(items: &[Item], layers: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); layers];
    let mut met = vec![false; items.len()];
    let mut roots: Vec<usize> = (0..items.len()).filter(|item| items[*item].below.is_empty()).collect();
    roots.sort_by_key(|item| std::cmp::Reverse(items[*item].layer));
    for root in roots {
        let mut waiting = vec![root];
        while let Some(item) = waiting.pop() {
            if std::mem::replace(&mut met[item], true) {
                continue;
            }
            order[items[item].layer].push(item);
            waiting.extend(items[item].above.iter().rev());
        }
    }
    order
}

/// Orders each layer by where the neighbours in the one before stand.
fn smooth(items: &[Item], layers: &mut [Vec<usize>], down: bool) {
    let mut place = vec![0f64; items.len()];
    let number = |layer: &[usize], place: &mut [f64]| {
        for (at, item) in layer.iter().enumerate() {
            place[*item] = at as f64;
        }
    };
    let count = layers.len();
    layers.iter().for_each(|layer| number(layer, &mut place));
    for step in 0..count {
        let layer = if down { step } else { count - 1 - step };
        let key = |item: usize| {
            let near = if down { &items[item].above } else { &items[item].below };
            match near.is_empty() {
                true => place[item],
                false => near.iter().map(|other| place[*other]).sum::<f64>() / near.len() as f64,
            }
        };
        let mut keyed: Vec<(f64, usize)> = layers[layer].iter().map(|item| (key(*item), *item)).collect();
        keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
        layers[layer] = keyed.into_iter().map(|(_, item)| item).collect();
        number(&layers[layer], &mut place);
    }
}

/// Centres: each item as near to its neighbours as its layer lets it.
fn centred(items: &[Item], layers: &[Vec<usize>]) -> Vec<i64> {
    let mut centres = vec![0f64; items.len()];
    for layer in layers {
        let mut at = 0.0;
        for item in layer {
            let half = items[*item].width as f64 / 2.0;
            centres[*item] = at + half;
            at += 2.0 * half + GAP as f64;
        }
    }
    let count = layers.len();
    for round in 0..6 {
        let down = round % 2 == 1;
        for step in 0..count {
            let layer = &layers[if down { step } else { count - 1 - step }];
            let wish = |item: usize| {
                let near = match (down, round) {
                    (true, _) => &items[item].above,
                    (false, _) => &items[item].below,
                };
                match near.is_empty() {
                    true => centres[item],
                    false => near.iter().map(|other| centres[*other]).sum::<f64>() / near.len() as f64,
                }
            };
            let wishes: Vec<(f64, f64)> = layer
                .iter()
                .map(|item| (wish(*item), items[*item].width as f64))
                .collect();
            for (item, centre) in layer.iter().zip(apart(&wishes)) {
                centres[*item] = centre;
            }
        }
    }
    centres.into_iter().map(|centre| centre.round() as i64).collect()
}

/// The places nearest to the wishes (least squares) in which boxes of these widths, in this order, do not touch: pool adjacent violators.
fn apart(wishes: &[(f64, f64)]) -> Vec<f64> {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(wishes.len());
    for (place, (_, width)) in wishes.iter().enumerate() {
        if place > 0 {
            offset += (wishes[place - 1].1 + width) / 2.0 + GAP as f64;
        }
        offsets.push(offset);
    }
    // Blocks that stand together: the sum of their wishes and how many they are.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for ((wish, _), offset) in wishes.iter().zip(&offsets) {
        blocks.push((wish - offset, 1));
        while let [.., (before, count), (last, more)] = blocks[..] {
            if before / count as f64 <= last / more as f64 {
                break;
            }
            blocks.pop();
            if let Some(block) = blocks.last_mut() {
                *block = (before + last, count + more);
            }
        }
    }
    let together = blocks
        .into_iter()
        .flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count));
    together.zip(offsets).map(|(place, offset)| place + offset).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn boxes(count: usize) -> Vec<(i64, i64)> {
        (0..count)
            .map(|node| (100 + (node as i64 * 37) % 90, 30 + (node as i64 * 13) % 40))
            .collect()
    }

    fn check(sizes: &[(i64, i64)], edges: &[(usize, usize)]) -> Layout {
        let laid = layout(sizes, edges);
        assert_eq!(laid, layout(sizes, edges), "the same graph has the same layout");
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|node| (laid.places[*node].1, laid.places[*node].0));
        for pair in order.windows(2) {
            let (one, other) = (laid.places[pair[0]], laid.places[pair[1]]);
            assert!(
                one.1 != other.1 || one.0 + sizes[pair[0]].0 < other.0,
                "boxes touch: {pair:?}"
            );
        }
        for (size, (x, y)) in sizes.iter().zip(&laid.places) {
            assert!(*x >= 0 && *y >= 0 && x + size.0 <= laid.width && y + size.1 <= laid.height);
        }
        laid
    }

    #[test]
    fn a_chain_is_straight_and_flows_down() {
        let sizes = [(100, 30); 4];
        let laid = check(&sizes, &[(3, 2), (2, 1), (1, 0)]);
        let lefts: Vec<i64> = laid.places.iter().map(|place| place.0).collect();
        assert!(lefts.windows(2).all(|pair| pair[0] == pair[1]), "{lefts:?}");
        assert!(laid.places[3].1 < laid.places[0].1);
        assert_eq!(laid.paths[0].len(), 2);
    }

    #[test]
    fn a_join_stands_between_what_it_joins() {
        let sizes = [(100, 30); 3];
        let laid = check(&sizes, &[(1, 0), (2, 0)]);
        let (left, right) = (laid.places[1].0, laid.places[2].0);
        assert!(left < right && (laid.places[0].0 - (left + right) / 2).abs() <= 1);
    }

    #[test]
    fn circles_strangers_and_nothing_do_no_harm() {
        assert_eq!(layout(&[], &[]).places, []);
        check(&boxes(3), &[(0, 1), (1, 2), (2, 0), (1, 1), (7, 0)]);
        check(&boxes(5), &[]);
    }

    /// A result above a tree of joins, with some exchanges that are used twice.
    fn large(count: usize) -> Vec<(usize, usize)> {
        let mut edges: Vec<(usize, usize)> = (1..count)
            .map(|node| (node, if node % 3 == 0 { (node - 1) / 2 } else { node - 1 }))
            .collect();
        edges.extend((1..count / 50).map(|place| (place * 50, place * 50 - 40)));
        edges
    }

    #[test]
    fn five_thousand_nodes_in_time() {
        let sizes = boxes(5000);
        let edges = large(5000);
        check(&sizes, &edges);
        let started = Instant::now();
        layout(&sizes, &edges);
        let took = started.elapsed();
        // Not optimised, and beside others; `cargo test --release` takes a tenth of it.
        assert!(took.as_millis() < 5000, "{took:?}");
        println!("5,000 nodes: {took:?}");
    }
}
