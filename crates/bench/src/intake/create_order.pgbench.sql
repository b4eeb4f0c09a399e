\set i :i + 1
\set n 100000000000 + :client_id * 1000000000 + :i
\set now_us 1700000000000000 + :i * 1000 + :client_id
\set due_us :now_us + 5000000
\set consumer 100000000000 + random(1, 1000)
BEGIN;
INSERT INTO orders (order_id, state, version, consumer_id, restaurant_id, update_us, validate_by_us, placed,
        reply_address, correlation_id, command_id)
    VALUES (:head::TEXT || :n::TEXT, 1, 1, :head::TEXT || :consumer::TEXT, :restaurant_id, :now_us, NULL, :placed, NULL, NULL, NULL);
INSERT INTO history (order_id, version, state, at_us, cause, rejection)
    VALUES (:head::TEXT || :n::TEXT, 1, 1, :now_us, :cause, NULL);
INSERT INTO outbox (slot, message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload)
    VALUES ((SELECT current FROM outbox_rotation), :message_id, :head::TEXT || :n::TEXT || :effect_1::TEXT, :channel_1,
        :head::TEXT || :n::TEXT, :kind_1, NULL, NULL, :now_us, :payload_1);
INSERT INTO obligation (effect_id, key, channel, kind, traceparent, payload, message_id, since_us, due_us, attempt, sent_us)
    VALUES (:head::TEXT || :n::TEXT || :effect_1::TEXT, :head::TEXT || :n::TEXT, :channel_1, :kind_1, NULL, :payload_1, :message_id,
        :now_us, :due_us, 1, :now_us);
INSERT INTO outbox (slot, message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload)
    VALUES ((SELECT current FROM outbox_rotation), :message_id, :head::TEXT || :n::TEXT || :effect_2::TEXT, :channel_2,
        :head::TEXT || :n::TEXT, :kind_2, NULL, NULL, :now_us, :payload_2);
INSERT INTO obligation (effect_id, key, channel, kind, traceparent, payload, message_id, since_us, due_us, attempt, sent_us)
    VALUES (:head::TEXT || :n::TEXT || :effect_2::TEXT, :head::TEXT || :n::TEXT, :channel_2, :kind_2, NULL, :payload_2, :message_id,
        :now_us, :due_us, 1, :now_us);
INSERT INTO outbox (slot, message_id, effect_id, channel, key, kind, causation_id, traceparent, created_us, payload)
    VALUES ((SELECT current FROM outbox_rotation), :message_id, :head::TEXT || :n::TEXT || :effect_3::TEXT, :channel_3,
        :head::TEXT || :n::TEXT, :kind_3, NULL, NULL, :now_us, :payload_3);
INSERT INTO idempotency (principal, request_id, fingerprint, order_id, created_us)
    VALUES ('', :head::TEXT || :n::TEXT, :fingerprint, :head::TEXT || :n::TEXT, :now_us) ON CONFLICT DO NOTHING;
COMMIT;
