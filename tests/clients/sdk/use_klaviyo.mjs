import { AccountsApi, ApiKeySession } from "klaviyo-api";

const accounts = new AccountsApi(new ApiKeySession(process.env.KLAVIYO_API_KEY));
console.log((await accounts.getAccounts()).body.data[0].id);
