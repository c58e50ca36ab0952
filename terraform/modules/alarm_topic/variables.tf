variable "name" {
  description = "Name of the topic."
  type        = string
}

variable "alarm_name_prefix" {
  description = "Prefix of the names of the alarms that may publish."
  type        = string
}

variable "email" {
  description = "Email address that is notified of alarms, once its owner has confirmed."
  type        = string
}
