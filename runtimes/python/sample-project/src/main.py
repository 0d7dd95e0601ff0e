def handler(event, context):
    print(f"message {context.message_id or '(none)'}: {event}")
