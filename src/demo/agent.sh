env
exec curl -q --silent --show-error --fail --max-time 10 -H "Authorization: Bearer $DEMO_API_KEY" "$1"
