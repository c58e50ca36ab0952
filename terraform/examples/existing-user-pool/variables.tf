variable "user_pool_id" {
  description = "Id of the application's user pool."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+_[0-9A-Za-z]+$", var.user_pool_id))
    error_message = "A user pool's id is written like eu-central-1_AbCdEfGhI."
  }
}
