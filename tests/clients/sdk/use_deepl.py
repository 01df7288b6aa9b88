import os

import deepl

client = deepl.DeepLClient(os.environ["DEEPL_AUTH_KEY"])
print(client.translate_text("Hallo", target_lang="EN-US").text)
