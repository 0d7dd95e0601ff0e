// What the route `welcome` runs, on the runtime for Node: once for each event, and awaited.
exports.handler = async (customer, context) => {
  console.log(`mail to ${customer.email}: welcome, ${customer.name}!`);
  context.logger.info("mail sent", { customer: customer.customer_id });
};
