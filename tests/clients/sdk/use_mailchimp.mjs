import mailchimp from "@mailchimp/mailchimp_marketing";

const { MAILCHIMP_API_KEY, MAILCHIMP_SERVER_PREFIX } = process.env;
mailchimp.setConfig({ apiKey: MAILCHIMP_API_KEY, server: MAILCHIMP_SERVER_PREFIX });
console.log((await mailchimp.ping.get()).health_status);
