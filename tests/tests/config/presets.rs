//! Named lists of matches.

use brew_core::textbrewer::config::preset;

// The table of TextBrewer's examples/matches/matches.py.
#[test]
fn presets_are_textbrewers() {
    let layers = |name: &str| -> Vec<(Vec<i64>, Vec<i64>)> {
        let matches = preset(name).unwrap();
        matches.iter().map(|found| (found.layer_t.indices(), found.layer_s.indices())).collect()
    };
    let one = |pairs: &[(i64, i64)]| -> Vec<_> { pairs.iter().map(|(t, s)| (vec![*t], vec![*s])).collect() };
    let two = |pairs: &[(i64, i64)]| -> Vec<_> {
        pairs.iter().map(|(t, s)| (vec![*t, *t], vec![*s, *s])).collect()
    };
    for loss in ["mse", "mse_sum", "ce", "ce_mean"] {
        assert_eq!(layers(&format!("L3_attention_{loss}")), one(&[(4, 1), (8, 2), (12, 3)]));
        assert_eq!(layers(&format!("L4_attention_{loss}")), one(&[(3, 1), (6, 2), (9, 3), (12, 4)]));
    }
    for name in ["L3_hidden_mse", "L3n_hidden_mse", "L3l_hidden_mse"] {
        assert_eq!(layers(name), one(&[(0, 0), (4, 1), (8, 2), (12, 3)]));
    }
    assert_eq!(layers("L3_hidden_smmd"), two(&[(0, 0), (4, 1), (8, 2), (12, 3)]));
    assert_eq!(layers("L4t_hidden_mse"), one(&[(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)]));
    assert_eq!(layers("L4t_hidden_sgram"), two(&[(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)]));
    assert_eq!(layers("L4_hidden_smmd"), layers("L4t_hidden_sgram"));
    let sixth = [(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (10, 5), (12, 6)];
    assert_eq!((layers("L6_hidden_mse"), layers("L6_hidden_smmd")), (one(&sixth), two(&sixth)));
    let small = [0, 2, 4, 6, 8, 10, 12].map(|layer| (layer, layer));
    assert_eq!((layers("small_hidden_mse"), layers("small_hidden_smmd")), (one(&small), two(&small)));
    let width =
        |name: &str| preset(name).unwrap()[0].proj.as_ref().map(|found| (found.student, found.teacher));
    let widths =
        ["L3n_hidden_mse", "L3l_hidden_mse", "L4t_hidden_sgram", "small_hidden_mse", "L6_hidden_mse"];
    assert_eq!(
        widths.map(width),
        [Some((384, 768)), Some((1024, 768)), Some((312, 768)), Some((256, 768)), None]
    );
    let error = preset("L4_hidden_mse").unwrap_err().to_string();
    assert!(error.contains("did you mean `L"), "{error}");
}
