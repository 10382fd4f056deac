-- Asks the gateway about a request, and tells the application who it is from.
local gateway = "http://127.0.0.1:8080/auth/forward"

-- Passed along with the question: what the decision depends on.
local asked = {
  "cookie", "x-csrf", "origin", "referer", "accept", "user-agent", "accept-language",
  "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-purpose",
  "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
}
-- Taken from the answer; what isn't in it is removed from the request.
local told = { "authorization", "cookie", "x-coatcheck-user", "x-coatcheck-issuer", "x-coatcheck-roles", "x-request-id" }

core.register_action("coatcheck", { "http-req" }, function(txn)
  local request = txn.http:req_get_headers()
  local question = { ["sec-coatcheck-forward"] = { "1" } }
  for _, name in ipairs(asked) do
    if request[name] ~= nil then
      local values = {}
      for i = 0, #request[name] do values[#values + 1] = request[name][i] end
      question[name] = values
    end
  end
  question["x-forwarded-method"] = { txn.sf:method() }
  question["x-forwarded-uri"] = { txn.sf:pathq() }

  local ok, answer = pcall(function()
    return core.httpclient():get { url = gateway, headers = question, timeout = 15000 }
  end)
  if not ok or answer == nil or answer.status ~= 200 then return end

  for _, name in ipairs(told) do
    txn.http:req_del_header(name)
    local values = answer.headers[name]
    if values ~= nil and values[0] ~= nil and values[0] ~= "" then txn.http:req_set_header(name, values[0]) end
  end
  local cookie = answer.headers["set-cookie"]
  if cookie ~= nil then txn:set_var("txn.coatcheck_set_cookie", cookie[0]) end
  txn:set_var("txn.coatcheck_admitted", true)
end, 0)
