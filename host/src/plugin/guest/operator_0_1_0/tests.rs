use super::*;

fn message(headers: &[(&str, &str)]) -> Message {
    let lines = headers
        .iter()
        .map(|&(name, value)| (name.into(), value.into()));
    Message {
        watermark: None,
        is_late: false,
        foreign: None,
        subject: "orders.a".into(),
        payload: Bytes::from_static(b"{}"),
        headers: lines.collect(),
        key: Some("a".into()),
        source: None,
        event_time: u64::MAX,
        sequence: 7,
        attempt: 2,
    }
}

/// Names and values of the headers that cross the border, per message.
fn crossing(batch: &[Message], selection: &HeaderSelection) -> Vec<Vec<String>> {
    let headers = selected(batch, selection);
    let messages = lower(batch, &headers);
    let headers = messages.iter().map(|message| message.headers.iter());
    headers
        .map(|lines| {
            lines
                .map(|line| format!("{}={}", line.name, line.value))
                .collect()
        })
        .collect()
}

#[test]
fn only_the_headers_asked_for_cross_the_border_in_their_order() {
    let batch = [
        message(&[("A", "1"), ("B", "2"), ("a", "3")]),
        message(&[]),
        message(&[("B", "4")]),
    ];
    let none: Vec<Vec<String>> = vec![vec![]; 3];
    assert_eq!(crossing(&batch, &HeaderSelection::None), none);
    let all = crossing(&batch, &HeaderSelection::All);
    assert_eq!(all, [vec!["A=1", "B=2", "a=3"], vec![], vec!["B=4"]]);
    let named = crossing(
        &batch,
        &HeaderSelection::Named(vec!["A".into(), "C".into()]),
    );
    assert_eq!(named, [vec!["A=1", "a=3"], vec![], vec![]]);
}

#[test]
fn a_payload_is_lent_and_not_copied() {
    let batch = [message(&[])];
    let headers = selected(&batch, &HeaderSelection::None);
    let messages = lower(&batch, &headers);
    assert_eq!(messages[0].payload.as_ptr(), batch[0].payload.as_ptr());
    assert_eq!(messages[0].key, Some("a"));
    assert_eq!(messages[0].event_time, u64::MAX);
    assert_eq!((messages[0].sequence, messages[0].attempt), (7, 2));
}

#[test]
fn an_answer_becomes_outcomes_with_its_own_buffers() {
    let payload = b"paid".to_vec();
    let address = payload.as_ptr();
    let header = types::HeaderResult {
        name: "A".into(),
        value: "1".into(),
    };
    let answer = vec![
        types::Outcome::Emit(vec![types::Output {
            subject: None,
            payload: Some(payload),
            headers: Some(vec![header]),
            key: Some("k".into()),
        }]),
        types::Outcome::Retry(types::Retry {
            after_ms: Some(5),
            reason: "busy".into(),
        }),
        types::Outcome::Reject("no".into()),
    ];
    let outcomes: Vec<Outcome> = answer.into_iter().map(outcome).collect();
    let Outcome::Emit(outputs) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(outputs[0].payload.as_ref().unwrap().as_ptr(), address);
    assert_eq!(outputs[0].headers.as_ref().unwrap().get("a"), Some("1"));
    assert_eq!(outputs[0].key.as_deref(), Some("k"));
    assert_eq!(outputs[0].subject, None);
    let after = Some(Duration::from_millis(5));
    assert_eq!(
        outcomes[1],
        Outcome::Retry {
            after,
            reason: "busy".into()
        }
    );
    assert_eq!(outcomes[2], Outcome::Reject("no".into()));
}
