import Asana from "asana";

Asana.ApiClient.instance.authentications.token.accessToken = process.env.ASANA_ACCESS_TOKEN;
const { data } = await new Asana.UsersApi().getUser("me");
console.log(data.name);
