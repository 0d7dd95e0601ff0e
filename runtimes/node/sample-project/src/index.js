exports.handler = async (event, context) => {
  console.log(`message ${context.messageId ?? "(none)"}:`, event);
};
