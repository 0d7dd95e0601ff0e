/* A handler for the whole batch, as an ES module: the first event says what to return. */
export async function handlerBatch(events, context) {
  console.log(`${events.length} events, ${context.messages.length} messages`);
  if (events[0].throw) {
    throw new Error(events[0].throw);
  }
  return events[0].return;
}
