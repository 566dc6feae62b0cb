# The rooms with OpenTofu, which has no provider for the service: each one runs a signed request of curl.
variable "rooms" { type = number }
variable "greeting" { type = string }
variable "conversation" { type = string }

locals {
  inputs = jsondecode(file(var.conversation)).inputs
}

resource "terraform_data" "room" {
  count            = var.rooms
  input            = count.index
  triggers_replace = [count.index == 0 ? var.greeting : "hello"]

  provisioner "local-exec" {
    command     = "sh ./request.sh create ${self.input}"
    environment = { DATA = jsonencode({ for name in ["asr", "llm", "tts", "pipeline"] : name => local.inputs[name] }) }
  }
  provisioner "local-exec" {
    when    = destroy
    command = "sh ./request.sh close ${self.input}"
  }
}
